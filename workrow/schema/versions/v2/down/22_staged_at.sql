ALTER TABLE procrastinate_jobs DROP COLUMN staged_at
