DROP FUNCTION
    workrow.notify_inserted_v1,
    workrow.orphan_jobs_v1,
    workrow.notify_queue_v1,
    workrow.sweep_finished_v1,
    workrow.end_job_v1,
    workrow.extend_history_v1,
    workrow.prune_history_v1
