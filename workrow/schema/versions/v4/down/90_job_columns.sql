ALTER TABLE procrastinate_jobs
    DROP COLUMN version,
    DROP COLUMN unique_key,
    DROP COLUMN expires_at,
    DROP COLUMN progress,
    DROP COLUMN line,
    DROP COLUMN due_at
