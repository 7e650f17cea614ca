DROP INDEX
    procrastinate_jobs_unique_key_idx_w4,
    procrastinate_jobs_expires_idx_w4,
    procrastinate_jobs_keyed_idx_w4,
    workrow.history_unique_key_idx
