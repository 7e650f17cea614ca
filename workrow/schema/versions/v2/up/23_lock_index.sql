CREATE UNIQUE INDEX procrastinate_jobs_lock_idx_v1 ON procrastinate_jobs (lock)
WHERE status = 'doing' AND lock IS NOT NULL
