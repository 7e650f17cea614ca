-- What nobody holds: jobs of a worker whose row somebody deleted, or claimed by a bare function call.
CREATE INDEX procrastinate_jobs_ownerless_idx_w3 ON procrastinate_jobs (started_at) WHERE status = 'doing' AND worker_id IS NULL
