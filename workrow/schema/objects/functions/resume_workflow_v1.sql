-- Let a workflow that is held go on. Returns "running"; NULL, if it was not held.
CREATE OR REPLACE FUNCTION workrow.resume_workflow_v1(in_flow bigint) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    queue text;
BEGIN
    UPDATE workrow.flows SET paused = false WHERE id = in_flow AND paused;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    FOR queue IN
        WITH held AS (
            SELECT node.number, node.job_id, nullif(node.held_at, '-infinity') AS at
            FROM workrow.flow_nodes AS node
            WHERE node.flow_id = in_flow AND node.held_at IS NOT NULL
        ),
        forgotten AS (
            UPDATE workrow.flow_nodes AS node
            SET held_at = NULL
            FROM held
            WHERE node.flow_id = in_flow AND node.number = held.number
        ),
        freed AS (
            UPDATE procrastinate_jobs AS job
            SET
                scheduled_at = CASE WHEN job.line IS NULL THEN held.at ELSE {far_future} END,
                due_at = CASE WHEN job.line IS NULL THEN NULL ELSE coalesce(held.at, clock_timestamp()) END,
                staged_at = NULL
            FROM held
            WHERE job.id = held.job_id AND job.status = 'todo'
            RETURNING job.queue_name
        )
        SELECT DISTINCT freed.queue_name FROM freed
    LOOP
        PERFORM workrow.notify_queue_v1(queue, 'job_inserted', 0);
    END LOOP;
    PERFORM workrow.resume_nodes_v1(in_flow);
    RETURN 'running';
END;
$$
