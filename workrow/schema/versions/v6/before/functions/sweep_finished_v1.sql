-- As in version 3, with the new columns.
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
    noted AS (
        INSERT INTO workrow.queue_names (name)
        SELECT DISTINCT queue_name FROM ended
        ON CONFLICT (name) DO NOTHING
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
    SELECT CAST(count(*) AS integer) FROM moved
$$
