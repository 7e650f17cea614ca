-- Move to history what stock workers have finished and left in the table; returns how many.
CREATE OR REPLACE FUNCTION workrow.sweep_finished_v1(max_rows integer DEFAULT 1000) RETURNS integer
LANGUAGE sql
AS $$
    WITH ended AS (
        DELETE FROM procrastinate_jobs
        WHERE id = ANY(ARRAY(
            SELECT id
            FROM procrastinate_jobs
            WHERE
                status NOT IN ('todo', 'doing')
                AND CASE
                    WHEN workflow_id IS NULL THEN true
                    ELSE EXISTS (SELECT FROM workrow.flows WHERE flows.id = workflow_id FOR NO KEY UPDATE SKIP LOCKED)
                END
            ORDER BY id
            LIMIT max_rows
            FOR UPDATE SKIP LOCKED
        ))
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
        WHERE ended.workflow_id IS NOT NULL
    ),
    moved AS (
        INSERT INTO workrow.history (
            id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id,
            worker, created_at, started_at, finished_at, result, errors, claims, crashes,
            version, unique_key, expires_at, progress, line, workflow_id, workflow_node
        )
        SELECT
            id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id,
            worker, created_at, started_at, coalesce(finished_at, now()), result, errors, claims, crashes,
            version, unique_key, expires_at, progress, line, workflow_id, workflow_node
        FROM ended
        CROSS JOIN told
        RETURNING id
    )
    SELECT CAST(count(moved.id) AS integer) FROM noted LEFT JOIN moved ON true
$$
