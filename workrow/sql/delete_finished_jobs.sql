-- The end of jobs that are not to be kept (delete_jobs), guarded as finish_jobs is.
DELETE FROM procrastinate_jobs
WHERE id = ANY(CAST(%(ids)s AS bigint[])) AND status = 'doing' AND worker_id IS NOT DISTINCT FROM %(worker_id)s
RETURNING id
