-- The end of attempts that will be followed by others, fenced as finish_jobs is. A job that was asked to abort
-- meanwhile is left out, as procrastinate_retry_job_v2 has it, for the caller to finish as failed; and one whose queueing
-- lock is taken by a newer job, for supersede_jobs.
UPDATE procrastinate_jobs AS job
SET
    status = 'todo',
    attempts = job.attempts + CASE WHEN job.attempts < 2147483647 THEN 1 ELSE 0 END,
    worker_id = NULL,
    -- a job under limits waits in its line again
    -- and one of a workflow that is held for that
    scheduled_at = CASE WHEN job.line IS NULL AND job.held_at IS NULL THEN retry.retry_at ELSE {far_future} END,
    due_at = CASE WHEN job.line IS NULL THEN NULL WHEN job.held_at IS NULL THEN retry.retry_at ELSE {far_future} END,
    held_at = CASE WHEN job.held_at IS NOT NULL THEN retry.retry_at END,
    staged_at = NULL,
    priority = coalesce(retry.priority, job.priority),
    queue_name = coalesce(retry.queue, job.queue_name),
    line = workrow.line_in_queue_v1(job.line, retry.queue),
    lock = coalesce(retry.lock, job.lock),
    worker = CAST(%(worker)s AS text),
    errors = workrow.with_error_v1(
        job.errors,
        CAST(retry.error AS jsonb) || jsonb_build_object('at', job.started_at + retry.ran * INTERVAL '1 second')
    ),
    progress = coalesce(CAST(retry.progress AS jsonb) || jsonb_build_object('at', clock_timestamp()), job.progress)
FROM (
    SELECT
        id, token, coalesce(at, clock_timestamp() + seconds * INTERVAL '1 second') AS retry_at, priority, queue, lock, error,
        progress, ran
    FROM unnest(
        CAST(%(ids)s AS bigint[]),
        CAST(%(tokens)s AS integer[]),
        CAST(%(seconds)s AS double precision[]),
        CAST(%(priorities)s AS integer[]),
        CAST(%(queues)s AS text[]),
        CAST(%(locks)s AS text[]),
        CAST(%(errors)s AS text[]),
        CAST(%(times)s AS timestamptz[]),
        CAST(%(progresses)s AS text[]),
        CAST(%(ran)s AS double precision[])
    ) AS given (id, token, seconds, priority, queue, lock, error, at, progress, ran)
) AS retry
WHERE
    job.id = retry.id
    AND job.status = 'doing'
    AND job.worker_id IS NOT DISTINCT FROM %(worker_id)s
    AND job.claims = retry.token
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
