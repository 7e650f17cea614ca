-- Jobs that asked to wait wait again, fenced as finish_jobs is: no attempt is counted. One that was asked to abort
-- meanwhile is left out, for the caller to finish as aborted; and one whose queueing lock is taken by a newer job, for
-- supersede_jobs.
UPDATE procrastinate_jobs AS job
SET
    status = 'todo',
    worker_id = NULL,
    -- one of a workflow that is held waits for that
    scheduled_at = CASE WHEN job.line IS NULL AND job.held_at IS NULL THEN snooze.until ELSE {far_future} END,
    due_at = CASE WHEN job.line IS NULL THEN NULL WHEN job.held_at IS NULL THEN snooze.until ELSE {far_future} END,
    held_at = CASE WHEN job.held_at IS NOT NULL THEN snooze.until END,
    staged_at = NULL
FROM (
    SELECT id, token, coalesce(at, clock_timestamp() + seconds * INTERVAL '1 second') AS until
    FROM unnest(
        CAST(%(ids)s AS bigint[]),
        CAST(%(tokens)s AS integer[]),
        CAST(%(seconds)s AS double precision[]),
        CAST(%(times)s AS timestamptz[])
    ) AS given (id, token, seconds, at)
) AS snooze
WHERE
    job.id = snooze.id
    AND job.status = 'doing'
    AND job.worker_id IS NOT DISTINCT FROM %(worker_id)s
    AND job.claims = snooze.token
    AND NOT job.abort_requested
    AND (
        job.queueing_lock IS NULL
        OR NOT EXISTS (
            SELECT
            FROM procrastinate_jobs AS newer
            WHERE newer.status = 'todo' AND newer.queueing_lock = job.queueing_lock
        )
    )
RETURNING job.id
