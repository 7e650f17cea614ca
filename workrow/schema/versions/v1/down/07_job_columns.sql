-- The index on finished_at goes with its column.
ALTER TABLE procrastinate_jobs
    DROP COLUMN errors,
    DROP COLUMN result,
    DROP COLUMN worker,
    DROP COLUMN finished_at,
    DROP COLUMN started_at,
    DROP COLUMN created_at
