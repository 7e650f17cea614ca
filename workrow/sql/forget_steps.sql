-- Delete the steps and signals of jobs that were deleted as they ended (delete_jobs).
WITH signals AS (
    DELETE FROM workrow.job_signals WHERE job_id = ANY(CAST(%(ids)s AS bigint[]))
)

DELETE FROM workrow.job_steps
WHERE job_id = ANY(CAST(%(ids)s AS bigint[]))
RETURNING job_id
