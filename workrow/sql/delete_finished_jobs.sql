-- The end of jobs that are not to be kept (delete_jobs), fenced as finish_jobs is; but for those whose
-- results somebody waits for: another job that has called them, or a workflow.
WITH claimed AS (
    SELECT id, token
    FROM unnest(CAST(%(ids)s AS bigint[]), CAST(%(tokens)s AS integer[])) AS given (id, token)
)

DELETE FROM procrastinate_jobs
WHERE
    id = ANY(CAST(%(ids)s AS bigint[]))
    AND status = 'doing'
    AND worker_id IS NOT DISTINCT FROM %(worker_id)s
    AND workflow_id IS NULL
    AND NOT coalesce(starts_with(unique_key, 'workrow.call:'), false)
    AND CASE WHEN (id, claims) IN (SELECT claimed.id, claimed.token FROM claimed) THEN true ELSE false END
RETURNING id
