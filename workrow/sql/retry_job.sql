-- The end of an attempt that will be followed by another, guarded as finish_job is.
-- A job that was asked to abort meanwhile ends as failed, as procrastinate_retry_job_v2 has it.
UPDATE procrastinate_jobs
SET
    status = CAST(CASE WHEN abort_requested THEN 'failed' ELSE 'todo' END AS procrastinate_job_status),
    attempts = attempts + 1,
    abort_requested = false,
    scheduled_at = CASE WHEN abort_requested THEN scheduled_at ELSE CAST(%(retry_at)s AS timestamptz) END,
    priority = coalesce(CAST(%(priority)s AS integer), priority),
    queue_name = coalesce(CAST(%(queue)s AS text), queue_name),
    lock = coalesce(CAST(%(lock)s AS text), lock),
    worker = CAST(%(worker)s AS text),
    errors = coalesce(errors, '[]') || CAST(%(error)s AS jsonb)
WHERE id = %(id)s AND status = 'doing' AND worker_id = %(worker_id)s
RETURNING id
