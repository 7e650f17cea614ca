-- The keys that come back allow no reference to what is gone: not a job's to a worker,
UPDATE procrastinate_jobs
SET worker_id = NULL
WHERE worker_id IS NOT NULL AND worker_id NOT IN (SELECT id FROM procrastinate_workers)
