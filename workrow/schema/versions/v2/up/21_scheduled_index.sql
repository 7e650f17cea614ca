CREATE INDEX procrastinate_jobs_scheduled_idx_w2 ON procrastinate_jobs (scheduled_at)
WHERE status = 'todo' AND scheduled_at IS NOT NULL AND staged_at IS DISTINCT FROM scheduled_at
