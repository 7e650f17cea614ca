CREATE INDEX procrastinate_jobs_locked_idx_w2 ON procrastinate_jobs (lock, priority DESC, id)
WHERE status = 'todo' AND lock IS NOT NULL AND (scheduled_at IS NULL OR staged_at = scheduled_at)
