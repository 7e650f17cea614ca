-- Hold a workflow: nothing more of it starts; what runs goes on to its end. Jobs that wait are put off to the far future.
-- Returns "paused"; NULL, if it has ended or never existed.
CREATE OR REPLACE FUNCTION workrow.pause_workflow_v1(in_flow bigint) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE workrow.flows SET paused = true WHERE id = in_flow AND state = 'running';
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    WITH held AS (
        SELECT job.id, node.number, CASE WHEN job.line IS NULL THEN job.scheduled_at ELSE job.due_at END AS at
        FROM workrow.flow_nodes AS node
        INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
        WHERE
            node.flow_id = in_flow AND node.state = 'enqueued' AND node.fires IS NULL
            AND job.status = 'todo' AND node.held_at IS NULL
        FOR UPDATE OF job SKIP LOCKED
    ),
    remembered AS (
        UPDATE workrow.flow_nodes AS node
        SET held_at = coalesce(held.at, '-infinity')
        FROM held
        WHERE node.flow_id = in_flow AND node.number = held.number
    )
    UPDATE procrastinate_jobs AS job
    SET
        scheduled_at = {far_future},
        due_at = CASE WHEN job.line IS NULL THEN job.due_at ELSE {far_future} END,
        staged_at = NULL
    FROM held
    WHERE job.id = held.id;
    RETURN 'paused';
END;
$$
