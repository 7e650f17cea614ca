-- Only what can run now. The condition is repeated, word for word, by every statement that uses it. An expression instead
-- of the id itself, because a claim is ordered by it and the primary key, which is ordered by the id, must not tempt the
-- planner: it leads over all that cannot run.
CREATE INDEX procrastinate_jobs_ready_idx_w2 ON procrastinate_jobs (queue_name, priority DESC, (id + 0))
WHERE status = 'todo' AND lock IS NULL AND (scheduled_at IS NULL OR staged_at = scheduled_at)
