-- Only what can run now. The condition is repeated, word for word, by every statement that uses it.
CREATE INDEX procrastinate_jobs_ready_idx_w2 ON procrastinate_jobs (queue_name, priority DESC, id)
WHERE status = 'todo' AND lock IS NULL AND (scheduled_at IS NULL OR staged_at = scheduled_at)
