DROP FUNCTION
    workrow.rescue_jobs_v1,
    workrow.crash_job_v1,
    workrow.supersede_job_v1,
    workrow.release_job_v1,
    workrow.cancel_job_v1,
    workrow.end_job_v2
