-- The end of an attempt that is the job's last, guarded: only if it still runs and is still ours.
UPDATE procrastinate_jobs
SET
    status = CAST(%(status)s AS procrastinate_job_status),
    attempts = attempts + 1,
    abort_requested = false,
    worker = CAST(%(worker)s AS text),
    result = CAST(%(result)s AS jsonb),
    errors = CASE
        WHEN CAST(%(error)s AS jsonb) IS NULL THEN errors
        ELSE coalesce(errors, '[]') || CAST(%(error)s AS jsonb)
    END
WHERE id = %(id)s AND status = 'doing' AND worker_id = %(worker_id)s
RETURNING id
