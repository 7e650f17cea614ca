-- Give the jobs of these workers back, which are dead, and these, which nobody holds; or quarantine them.
SELECT job_id, task, queue, worker, verdict
FROM workrow.rescue_jobs_v2(
    CAST(%(workers)s AS bigint[]), CAST(%(beats)s AS double precision[]),
    CAST(%(jobs)s AS bigint[]), CAST(%(starts)s AS double precision[]),
    CAST(%(max_crashes)s AS integer), CAST(%(max_rows)s AS integer)
)
