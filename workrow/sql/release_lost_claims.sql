-- Give back what a claim took whose answer never arrived: ours by the row, unknown to us.
UPDATE procrastinate_jobs
SET status = 'todo', worker_id = NULL, abort_requested = false
WHERE worker_id = %(worker_id)s AND status = 'doing' AND id <> ALL(CAST(%(known)s AS bigint[]))
RETURNING id
