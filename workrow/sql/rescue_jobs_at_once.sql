-- The same for who cannot watch for a lease: the server's clock says who is dead.
SELECT job_id, task, queue, worker, verdict
FROM workrow.rescue_jobs_v1(CAST(%(max_crashes)s AS integer), CAST(%(max_rows)s AS integer))
