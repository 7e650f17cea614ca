-- What earlier attempts of a job have recorded, and what it waits for; once an attempt, when it asks for its first step.
SELECT
    name, kind, CAST(extract(EPOCH FROM due_at) - extract(EPOCH FROM clock_timestamp()) AS double precision) AS due_in, ended_at IS NOT NULL AS ended,
    CAST(result AS text) AS result, CAST(error AS text) AS error, child_id, failed_before
FROM workrow.job_steps
WHERE job_id = CAST(%(id)s AS bigint)
