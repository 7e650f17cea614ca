-- End jobs that should wait again, but a newer one waits under the same queueing lock; fenced as finish_jobs is.
WITH claimed AS (
    SELECT id, token
    FROM unnest(CAST(%(ids)s AS bigint[]), CAST(%(tokens)s AS integer[])) AS given (id, token)
)

SELECT workrow.supersede_job_v1(id) AS id
FROM procrastinate_jobs
WHERE
    queueing_lock IS NOT NULL
    AND id = ANY(CAST(%(ids)s AS bigint[]))
    AND status = 'doing'
    AND worker_id IS NOT DISTINCT FROM %(worker_id)s
    AND CASE WHEN (id, claims) IN (SELECT claimed.id, claimed.token FROM claimed) THEN true ELSE false END
    AND EXISTS (
        SELECT
        FROM procrastinate_jobs AS newer
        WHERE newer.status = 'todo' AND newer.queueing_lock = procrastinate_jobs.queueing_lock
    )
