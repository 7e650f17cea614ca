DROP FUNCTION workrow.rescue_jobs_v2
