-- Jobs of a workflow that is held no longer: those that wait start when they were to, those that run may come back.
CREATE OR REPLACE FUNCTION workrow.free_nodes_v1(in_flow bigint) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    queue text;
BEGIN
    FOR queue IN
        WITH freed AS (
            UPDATE procrastinate_jobs AS job
            SET
                held_at = NULL,
                scheduled_at = CASE
                    WHEN job.status = 'doing' THEN job.scheduled_at
                    WHEN job.line IS NULL THEN nullif(job.held_at, '-infinity')
                    ELSE {far_future}
                END,
                due_at = CASE
                    WHEN job.status = 'doing' THEN job.due_at
                    WHEN job.line IS NOT NULL THEN coalesce(nullif(job.held_at, '-infinity'), clock_timestamp())
                END,
                staged_at = CASE WHEN job.status = 'doing' THEN job.staged_at END
            FROM workrow.flow_nodes AS node
            WHERE
                node.flow_id = in_flow AND node.state = 'enqueued' AND job.id = node.job_id
                AND job.status IN ('todo', 'doing') AND job.held_at IS NOT NULL
            RETURNING job.queue_name, job.status
        )
        SELECT DISTINCT freed.queue_name FROM freed WHERE freed.status = 'todo'
    LOOP
        PERFORM workrow.notify_queue_v1(queue, 'job_inserted', 0);
    END LOOP;
END;
$$
