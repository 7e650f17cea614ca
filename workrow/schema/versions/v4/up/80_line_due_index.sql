CREATE INDEX procrastinate_jobs_line_due_idx_w4 ON procrastinate_jobs (due_at)
WHERE status = 'todo' AND line IS NOT NULL AND due_at IS NOT NULL
