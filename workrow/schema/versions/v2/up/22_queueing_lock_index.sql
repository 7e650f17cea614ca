CREATE UNIQUE INDEX procrastinate_jobs_queueing_lock_idx_v1 ON procrastinate_jobs (queueing_lock)
WHERE status = 'todo' AND queueing_lock IS NOT NULL
