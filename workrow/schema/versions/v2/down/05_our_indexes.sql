DROP INDEX
    procrastinate_jobs_ready_idx_w2,
    procrastinate_jobs_locked_idx_w2,
    procrastinate_jobs_scheduled_idx_w2,
    procrastinate_jobs_finished_idx_w2,
    procrastinate_jobs_queueing_lock_idx_v1,
    procrastinate_jobs_lock_idx_v1
