-- Which of these jobs are still ours by the same claim, and whether they were asked to abort.
SELECT id, abort_requested
FROM procrastinate_jobs
WHERE
    id = ANY(CAST(%(ids)s AS bigint[]))
    AND status = 'doing'
    AND worker_id IS NOT DISTINCT FROM %(worker_id)s
    AND (id, claims) IN (
        SELECT given.id, given.token
        FROM unnest(CAST(%(ids)s AS bigint[]), CAST(%(tokens)s AS integer[])) AS given (id, token)
    )
