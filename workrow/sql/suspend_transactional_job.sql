-- The last statement of a transactional task's transaction where the task waits for something: what became of it; no row
-- where the job is not ours, or somebody holds its row.
SELECT suspended.verdict
FROM (
    SELECT
        workrow.suspend_job_v1(
            CAST(%(id)s AS bigint), CAST(%(worker_id)s AS bigint), CAST(%(token)s AS integer), CAST(%(waits)s AS jsonb),
            CAST(%(progress)s AS jsonb), false
        ) AS verdict
) AS suspended
WHERE suspended.verdict IS NOT NULL
