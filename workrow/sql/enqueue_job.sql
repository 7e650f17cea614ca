-- Insert one job. A taken queueing lock, or a full queue, inserts nothing, as in enqueue_jobs.
INSERT INTO procrastinate_jobs (
    queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, line, due_at, version
)
SELECT
    CAST(%(queue)s AS text),
    CAST(%(task)s AS text),
    CAST(%(priority)s AS integer),
    CAST(%(lock)s AS text),
    CAST(%(queueing_lock)s AS text),
    CAST(%(args)s AS jsonb),
    CASE WHEN CAST(%(lines)s AS text) IS NULL THEN start.at ELSE {far_future} END,
    CAST(%(lines)s AS text),
    CASE WHEN CAST(%(lines)s AS text) IS NOT NULL THEN start.at END,
    CAST(%(version)s AS smallint)
FROM (
    SELECT coalesce(
        CAST(%(at)s AS timestamptz), statement_timestamp() + CAST(%(delay)s AS double precision) * INTERVAL '1 second'
    ) AS at
) AS start
WHERE
    -- a plain subquery: 2 us for a queue without a cap, and 20 as NOT EXISTS
    CASE
        WHEN (SELECT cap.queue_name FROM workrow.queue_caps AS cap WHERE cap.queue_name = CAST(%(queue)s AS text)) IS NULL
            THEN true
        ELSE NOT workrow.queue_is_full_v1(
            CAST(%(queue)s AS text), CASE WHEN start.at IS NULL THEN 1 ELSE 0 END
        )
    END
ON CONFLICT (queueing_lock) WHERE status = 'todo' AND queueing_lock IS NOT NULL DO NOTHING
RETURNING id
