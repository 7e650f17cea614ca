-- Everything about one job.
SELECT
    id, task, queue, status, priority, lock, queueing_lock, unique_key, line, args, version, created_at, scheduled_at,
    expires_at, started_at, finished_at, attempts, claims, crashes, quarantine, worker, worker_id, progress, result, errors
FROM workrow.jobs
WHERE id = CAST(%(id)s AS bigint)
