-- The process of a job died under it, or its connection, and the worker lives to tell; fenced as finish_jobs is.
SELECT
    id,
    workrow.crash_job_v2(
        id, true, CAST(%(max_crashes)s AS integer), CAST(%(cause)s AS text), CAST(%(pause)s AS double precision)
    ) AS verdict
FROM (
    SELECT id
    FROM procrastinate_jobs
    WHERE id = %(id)s AND status = 'doing' AND worker_id = %(worker_id)s AND claims = %(token)s
    FOR UPDATE
) AS held
