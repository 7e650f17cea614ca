-- A single call, as celery_write_v1 writes those of effects that are nothing else.
INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, scheduled_at)
VALUES (
    %(queue)s,
    %(task)s,
    %(priority)s,
    CASE
        WHEN EXISTS (SELECT FROM workrow.celery_revoked AS known WHERE known.task_id = %(id)s)
            THEN CAST(%(args)s AS jsonb) || '{"revoked": true}'
        ELSE CAST(%(args)s AS jsonb)
    END,
    coalesce(
        CAST(%(at)s AS timestamptz),
        statement_timestamp() + CAST(%(delay)s AS double precision) * INTERVAL '1 second'
    )
)
RETURNING id
