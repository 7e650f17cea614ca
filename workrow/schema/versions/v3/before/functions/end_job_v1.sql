-- Move one live job to history under a new status; NULL if it is not there in one of the statuses "from_statuses".
CREATE OR REPLACE FUNCTION workrow.end_job_v1(
    job_id bigint, from_statuses procrastinate_job_status[], end_status procrastinate_job_status
) RETURNS bigint
LANGUAGE sql
AS $$
    WITH ended AS (
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status = ANY(from_statuses)
        RETURNING *
    ),
    noted AS (
        INSERT INTO workrow.queue_names (name)
        SELECT queue_name FROM ended
        ON CONFLICT (name) DO NOTHING
    )
    INSERT INTO workrow.history (
        id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id,
        worker, created_at, started_at, finished_at, result, errors
    )
    SELECT
        id, queue_name, task_name, priority, lock, queueing_lock, args, end_status, scheduled_at,
        attempts + CASE WHEN status = 'doing' AND end_status <> 'cancelled' THEN 1 ELSE 0 END, worker_id,
        worker, created_at, started_at, clock_timestamp(), result, errors
    FROM ended
    RETURNING id
$$
