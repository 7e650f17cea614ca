-- The jobs of a line in the order in which they may be admitted.
CREATE INDEX procrastinate_jobs_line_idx_w4 ON procrastinate_jobs (line, priority DESC, id)
WHERE status = 'todo' AND line IS NOT NULL AND due_at IS NULL
