-- A single call, as celery_write_v1 writes those of effects that are nothing else. A full queue takes none.
INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, scheduled_at)
SELECT
    CAST(%(queue)s AS text),
    CAST(%(task)s AS text),
    CAST(%(priority)s AS integer),
    CASE
        WHEN EXISTS (SELECT FROM workrow.celery_revoked AS known WHERE known.task_id = CAST(%(id)s AS text))
            THEN CAST(%(args)s AS jsonb) || '{"revoked": true}'
        ELSE CAST(%(args)s AS jsonb)
    END,
    start.at
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
RETURNING id
