-- Give the jobs of dead workers back, or quarantine them.
SELECT job_id, task, queue, worker, verdict
FROM workrow.rescue_jobs_v1(CAST(%(max_crashes)s AS integer), CAST(%(max_rows)s AS integer))
