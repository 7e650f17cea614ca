-- Insert one job for each element of the JSON array "args", all with the same options, in order.
-- A queueing lock, which only one of them could have, inserts nothing instead of raising, so that the caller's transaction
-- stays usable; and so does a queue without room for all of them.
INSERT INTO procrastinate_jobs (
    queue_name, task_name, priority, lock, args, scheduled_at, line, due_at, version
)
SELECT
    CAST(%(queue)s AS text),
    CAST(%(task)s AS text),
    CAST(%(priority)s AS integer),
    CAST(%(lock)s AS text),
    job.args,
    CASE WHEN job.line IS NULL THEN start.at ELSE {far_future} END,
    job.line,
    CASE WHEN job.line IS NOT NULL THEN start.at END,
    CAST(%(version)s AS smallint)
FROM ROWS FROM (
    jsonb_array_elements(CAST(%(args)s AS jsonb)), jsonb_array_elements_text(CAST(%(lines)s AS jsonb))
) AS job (args, line)
CROSS JOIN (
    SELECT coalesce(
        CAST(%(at)s AS timestamptz), statement_timestamp() + CAST(%(delay)s AS double precision) * INTERVAL '1 second'
    ) AS at
) AS start
WHERE
    CAST(%(queueing_lock)s AS text) IS NULL
    -- a plain subquery: 2 us for a queue without a cap, and 20 as NOT EXISTS
    AND CASE
        WHEN (SELECT cap.queue_name FROM workrow.queue_caps AS cap WHERE cap.queue_name = CAST(%(queue)s AS text)) IS NULL
            THEN true
        ELSE NOT workrow.queue_is_full_v1(
            CAST(%(queue)s AS text),
            CASE
                WHEN start.at IS NOT NULL THEN 0
                ELSE jsonb_array_length(CAST(%(args)s AS jsonb))
            END
        )
    END
RETURNING id
