-- Each index costs every insert, claim and finish; these are read by no claim, or hold what no claim reads.
DROP INDEX
    procrastinate_jobs_queueing_lock_idx_v1,
    procrastinate_jobs_lock_idx_v1,
    procrastinate_jobs_queue_name_idx_v1,
    procrastinate_jobs_id_lock_idx_v1,
    procrastinate_jobs_priority_idx_v1
