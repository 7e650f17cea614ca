-- Move these jobs, whose rows are locked, to history; returns how many. They have ended in the live table; or end now, with
-- this status, and whoever ends them has told their workflow.
CREATE OR REPLACE FUNCTION workrow.move_finished_v1(
    ids bigint[], end_status procrastinate_job_status DEFAULT NULL
) RETURNS integer
LANGUAGE sql
AS $$
    WITH ended AS (
        DELETE FROM procrastinate_jobs
        WHERE id = ANY(ids)
        RETURNING *
    ),
    noted AS MATERIALIZED (
        SELECT workrow.note_queues_v1(ARRAY(SELECT DISTINCT ended.queue_name FROM ended)) AS new_ones
    ),
    told AS MATERIALIZED (
        SELECT
            CASE
                WHEN count(*) > 0 THEN CAST(workrow.end_nodes_v1(
                    array_agg(ended.workflow_id), array_agg(ended.workflow_node), array_agg(CAST(ended.status AS text)),
                    array_agg(CAST(ended.result AS text)),
                    array_agg(
                        CASE
                            WHEN ended.status = 'succeeded' AND ended.result IS NULL
                                THEN {stock_end}
                            ELSE CAST(ended.errors -> -1 AS text)
                        END
                    )
                ) AS text)
            END AS done
        FROM ended
        WHERE ended.workflow_id IS NOT NULL AND end_status IS NULL
    ),
    moved AS (
        INSERT INTO workrow.history (
            id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id,
            worker, created_at, started_at, finished_at, result, errors, claims, crashes,
            version, unique_key, expires_at, progress, line, workflow_id, workflow_node
        )
        SELECT
            id, queue_name, task_name, priority, lock, queueing_lock, args, coalesce(end_status, status), scheduled_at, attempts,
            worker_id, worker, created_at, started_at,
            CASE WHEN end_status IS NULL THEN coalesce(finished_at, now()) ELSE clock_timestamp() END, result, errors, claims, crashes,
            version, unique_key, expires_at, progress, line, workflow_id, workflow_node
        FROM ended
        CROSS JOIN told
        RETURNING id
    )
    SELECT CAST(count(moved.id) AS integer) FROM noted LEFT JOIN moved ON true
$$
