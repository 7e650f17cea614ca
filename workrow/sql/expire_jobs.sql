-- End jobs that were claimed, and too late to be started; fenced as finish_jobs is.
WITH claimed AS (
    SELECT id, token
    FROM unnest(CAST(%(ids)s AS bigint[]), CAST(%(tokens)s AS integer[])) AS given (id, token)
)

SELECT
    workrow.end_job_v2(
        id, CAST(ARRAY['doing'] AS procrastinate_job_status[]), 'cancelled', workrow.expiry_v1(expires_at, attempts), NULL
    ) AS id
FROM procrastinate_jobs
WHERE
    id = ANY(CAST(%(ids)s AS bigint[]))
    AND status = 'doing'
    AND worker_id IS NOT DISTINCT FROM %(worker_id)s
    AND CASE WHEN (id, claims) IN (SELECT claimed.id, claimed.token FROM claimed) THEN true ELSE false END
