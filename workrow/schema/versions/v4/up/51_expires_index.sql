CREATE INDEX procrastinate_jobs_expires_idx_w4 ON procrastinate_jobs (expires_at)
WHERE status = 'todo' AND expires_at IS NOT NULL
