-- Let a job that ended without success run again.
SELECT workrow.requeue_job_v1(CAST(%(id)s AS bigint)) AS verdict
