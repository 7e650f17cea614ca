-- Hold a workflow: nothing more of it starts; what runs goes on to its end, and waits if it comes back before that. Jobs that
-- wait are put off to the far future. Returns "paused"; NULL, if it has ended or never existed.
CREATE OR REPLACE FUNCTION workrow.pause_workflow_v1(in_flow bigint) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE workrow.flows SET paused = true WHERE id = in_flow AND state = 'running';
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- rows are locked for a moment by who claims them or gives them back. To wait for one is a deadlock with the end of its
    -- job, which waits for the workflow
    FOR _ IN 1..20 LOOP
        WITH free AS (
            SELECT job.id
            FROM workrow.flow_nodes AS node
            INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
            WHERE
                node.flow_id = in_flow AND node.state = 'enqueued' AND node.fires IS NULL
                AND job.status IN ('todo', 'doing') AND job.held_at IS NULL
            FOR UPDATE OF job SKIP LOCKED
        )
        UPDATE procrastinate_jobs AS job
        SET
            held_at = CASE
                WHEN job.status = 'todo' THEN coalesce(CASE WHEN job.line IS NULL THEN job.scheduled_at ELSE job.due_at END, '-infinity')
                ELSE '-infinity'
            END,
            scheduled_at = CASE WHEN job.status = 'todo' THEN {far_future} ELSE job.scheduled_at END,
            due_at = CASE WHEN job.status = 'todo' AND job.line IS NOT NULL THEN {far_future} ELSE job.due_at END,
            staged_at = CASE WHEN job.status = 'todo' THEN NULL ELSE job.staged_at END
        FROM free
        WHERE job.id = free.id;
        EXIT WHEN NOT EXISTS (
            SELECT
            FROM workrow.flow_nodes AS node
            INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
            WHERE
                node.flow_id = in_flow AND node.state = 'enqueued' AND node.fires IS NULL
                AND job.status IN ('todo', 'doing') AND job.held_at IS NULL
        );
        PERFORM pg_sleep(0.005);
    END LOOP;
    RETURN 'paused';
END;
$$
