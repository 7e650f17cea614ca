-- The ten jobs that failed last, of those of the last 24 hours.
SELECT id, task, queue, args, attempts, finished_at, worker, error_type, error, discarded
FROM workrow.jobs
WHERE status = 'failed' AND finished_at >= now() - CAST('24 hours' AS interval)
ORDER BY finished_at DESC
LIMIT 10
