-- Move to history what stock workers have finished and left in the table; returns how many.
CREATE OR REPLACE FUNCTION workrow.sweep_finished_v1(max_rows integer DEFAULT 1000) RETURNS integer
LANGUAGE sql
AS $$
    WITH ended AS (
        DELETE FROM procrastinate_jobs
        WHERE id = ANY(ARRAY(
            SELECT id
            FROM procrastinate_jobs
            WHERE status NOT IN ('todo', 'doing')
            ORDER BY id
            LIMIT max_rows
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING *
    ),
    noted AS MATERIALIZED (
        SELECT workrow.note_queues_v1(ARRAY(SELECT DISTINCT ended.queue_name FROM ended)) AS new_ones
    ),
    moved AS (
        INSERT INTO workrow.history (
            id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id,
            worker, created_at, started_at, finished_at, result, errors, claims, crashes,
            version, unique_key, expires_at, progress, line
        )
        SELECT
            id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id,
            worker, created_at, started_at, coalesce(finished_at, now()), result, errors, claims, crashes,
            version, unique_key, expires_at, progress, line
        FROM ended
        RETURNING id
    )
    SELECT CAST(count(moved.id) AS integer) FROM noted LEFT JOIN moved ON true
$$
