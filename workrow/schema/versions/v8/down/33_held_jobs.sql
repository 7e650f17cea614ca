-- Jobs of workflows that are held start when they were to.
UPDATE procrastinate_jobs
SET
    scheduled_at = CASE WHEN line IS NULL THEN nullif(held_at, '1970-01-01 00:00:00+00') ELSE scheduled_at END,
    due_at = CASE WHEN line IS NOT NULL THEN coalesce(nullif(held_at, '1970-01-01 00:00:00+00'), clock_timestamp()) END
WHERE status = 'todo' AND held_at IS NOT NULL
