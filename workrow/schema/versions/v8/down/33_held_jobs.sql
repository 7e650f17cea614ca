-- Jobs of workflows that are held start when they were to.
UPDATE procrastinate_jobs
SET
    scheduled_at = CASE WHEN line IS NULL THEN nullif(held_at, '-infinity') ELSE scheduled_at END,
    due_at = CASE WHEN line IS NOT NULL THEN coalesce(nullif(held_at, '-infinity'), clock_timestamp()) END
WHERE status = 'todo' AND held_at IS NOT NULL
