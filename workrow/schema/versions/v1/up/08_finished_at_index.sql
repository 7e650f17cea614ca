CREATE INDEX workrow_jobs_finished_at_idx ON procrastinate_jobs (finished_at) WHERE finished_at IS NOT NULL
