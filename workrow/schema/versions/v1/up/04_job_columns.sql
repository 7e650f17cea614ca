-- The default of created_at is set apart from the column, so that jobs of before keep "unknown" instead of this moment.
ALTER TABLE procrastinate_jobs
    ADD COLUMN created_at timestamptz,
    ALTER COLUMN created_at SET DEFAULT now(),
    ADD COLUMN started_at timestamptz,
    ADD COLUMN finished_at timestamptz,
    ADD COLUMN worker text,
    ADD COLUMN result jsonb,
    ADD COLUMN errors jsonb
