-- End jobs that should wait again, but a newer one waits under the same queueing lock; fenced as finish_jobs is.
-- "errors": of the attempts that have just failed, NULL for a job that is only given back.
WITH claimed AS (
    SELECT id, token, error, ran
    FROM unnest(
        CAST(%(ids)s AS bigint[]), CAST(%(tokens)s AS integer[]), CAST(%(errors)s AS text[]),
        CAST(%(ran)s AS double precision[])
    ) AS given (id, token, error, ran)
)

SELECT
    workrow.supersede_job_v1(
        id,
        (
            SELECT
                CAST(claimed.error AS jsonb)
                || jsonb_build_object('at', procrastinate_jobs.started_at + claimed.ran * INTERVAL '1 second')
            FROM claimed
            WHERE claimed.id = procrastinate_jobs.id AND claimed.token = procrastinate_jobs.claims
            LIMIT 1
        )
    ) AS id
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
