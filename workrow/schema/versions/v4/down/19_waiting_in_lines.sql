-- nothing of the older version knows of lines: what waits in one becomes a plain job
UPDATE procrastinate_jobs
SET scheduled_at = CASE WHEN status = 'todo' THEN due_at ELSE scheduled_at END
WHERE line IS NOT NULL
