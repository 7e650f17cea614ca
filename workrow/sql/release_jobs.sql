-- Give back jobs that were claimed and not started, or interrupted by a stop: no attempt is counted.
UPDATE procrastinate_jobs
SET status = 'todo', worker_id = NULL, abort_requested = false
WHERE id = ANY(CAST(%(ids)s AS bigint[])) AND status = 'doing' AND worker_id IS NOT DISTINCT FROM %(worker_id)s
RETURNING id
