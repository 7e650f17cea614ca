ALTER TABLE procrastinate_jobs
    DROP COLUMN claims,
    DROP COLUMN crashes,
    DROP COLUMN marked,
    DROP COLUMN terminate_requested
