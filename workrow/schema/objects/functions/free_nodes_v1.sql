-- Jobs of a workflow that is held no longer: those that wait start when they were to, those that run may come back. Whose rows
-- somebody holds are left out, after so many tries, as by hold_nodes_v1.
CREATE OR REPLACE FUNCTION workrow.free_nodes_v1(in_flow bigint, tries integer) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    queue text;
BEGIN
    FOR try IN 1..tries LOOP
        EXIT WHEN NOT EXISTS (
            SELECT
            FROM workrow.flow_nodes AS node
            INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
            WHERE
                node.flow_id = in_flow AND node.state = 'enqueued'
                AND job.status IN ('todo', 'doing') AND job.held_at IS NOT NULL
        );
        PERFORM pg_sleep(0.005) WHERE try > 1;
        FOR queue IN
            WITH held AS (
                SELECT job.id
                FROM workrow.flow_nodes AS node
                INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
                WHERE
                    node.flow_id = in_flow AND node.state = 'enqueued'
                    AND job.status IN ('todo', 'doing') AND job.held_at IS NOT NULL
                FOR NO KEY UPDATE OF job SKIP LOCKED
            ),
            freed AS (
                UPDATE procrastinate_jobs AS job
                SET
                    held_at = NULL,
                    scheduled_at = CASE
                        WHEN job.status = 'doing' THEN job.scheduled_at
                        WHEN job.line IS NULL THEN nullif(job.held_at, {at_once})
                        ELSE {far_future}
                    END,
                    due_at = CASE
                        WHEN job.status = 'doing' THEN job.due_at
                        WHEN job.line IS NOT NULL THEN coalesce(nullif(job.held_at, {at_once}), clock_timestamp())
                    END,
                    staged_at = CASE WHEN job.status = 'doing' THEN job.staged_at END
                FROM held
                WHERE job.id = held.id
                RETURNING job.queue_name, job.status
            )
            SELECT DISTINCT freed.queue_name FROM freed WHERE freed.status = 'todo'
        LOOP
            PERFORM workrow.notify_queue_v1(queue, 'job_inserted', 0);
        END LOOP;
    END LOOP;
END;
$$
