-- Give back jobs that were claimed and not started, or interrupted by a stop, fenced as finish_jobs is: no attempt is
-- counted. One whose queueing lock is taken by a newer job is left out, for supersede_jobs.
WITH claimed AS (
    SELECT id, token
    FROM unnest(CAST(%(ids)s AS bigint[]), CAST(%(tokens)s AS integer[])) AS given (id, token)
)

UPDATE procrastinate_jobs AS job
SET
    status = 'todo',
    worker_id = NULL,
    abort_requested = false,
    terminate_requested = false,
    -- one of a workflow that is held waits for that
    scheduled_at = CASE WHEN job.line IS NULL AND job.held_at IS NULL THEN job.scheduled_at ELSE {far_future} END,
    due_at = CASE WHEN job.line IS NULL THEN NULL WHEN job.held_at IS NULL THEN clock_timestamp() ELSE {far_future} END
WHERE
    job.id = ANY(CAST(%(ids)s AS bigint[]))
    AND job.status = 'doing'
    AND job.worker_id IS NOT DISTINCT FROM %(worker_id)s
    AND CASE WHEN (job.id, job.claims) IN (SELECT claimed.id, claimed.token FROM claimed) THEN true ELSE false END
    AND (
        job.queueing_lock IS NULL
        OR NOT EXISTS (
            SELECT
            FROM procrastinate_jobs AS newer
            WHERE newer.status = 'todo' AND newer.queueing_lock = job.queueing_lock
        )
    )
RETURNING job.id
