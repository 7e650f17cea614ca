-- Move one job to history, with its last error. One that goes to quarantine (cause) has not ended an attempt.
CREATE OR REPLACE FUNCTION workrow.end_job_v2(
    job_id bigint, from_statuses procrastinate_job_status[], end_status procrastinate_job_status, error jsonb, cause text
) RETURNS bigint
LANGUAGE sql
AS $$
    WITH ended AS (
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status = ANY(from_statuses)
        RETURNING *
    ),
    noted AS MATERIALIZED (
        SELECT workrow.note_queues_v1(ARRAY(SELECT ended.queue_name FROM ended)) AS new_ones
    )
    INSERT INTO workrow.history (
        id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id,
        worker, created_at, started_at, finished_at, result, errors, claims, crashes, quarantine,
        version, unique_key, expires_at, progress, line
    )
    SELECT
        id, queue_name, task_name, priority, lock, queueing_lock, args, end_status, scheduled_at,
        least(attempts, 2147483646)
        + CASE WHEN status = 'doing' AND end_status <> 'cancelled' AND cause IS NULL THEN 1 ELSE 0 END,
        worker_id,
        worker, created_at, started_at, clock_timestamp(), result,
        workrow.with_error_v1(errors, error), claims, crashes, cause,
        version, unique_key, expires_at, progress, line
    FROM ended
    CROSS JOIN noted
    RETURNING id
$$
