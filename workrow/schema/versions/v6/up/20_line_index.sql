-- The jobs of a line in the order in which they may be admitted: by the time since when they are ready. By id, what was
-- retried went before all that is younger, again and again.
CREATE INDEX procrastinate_jobs_line_idx_w6 ON procrastinate_jobs (line, priority DESC, coalesce(staged_at, created_at), id)
WHERE status = 'todo' AND line IS NOT NULL AND due_at IS NULL
