-- A unique job holds its key from the moment it waits to the moment it ends, across retries and rescues.
CREATE UNIQUE INDEX procrastinate_jobs_unique_key_idx_w4 ON procrastinate_jobs (unique_key)
WHERE unique_key IS NOT NULL AND status IN ('todo', 'doing')
