-- A due job is staged: staged_at = scheduled_at makes it ready, and changing scheduled_at undoes it.
ALTER TABLE procrastinate_jobs ADD COLUMN staged_at timestamptz
