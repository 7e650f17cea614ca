-- A call of a Celery task with unique=: whether it was sent, and the id of the call that there is.
SELECT verdict, task_id
FROM workrow.celery_once_v1(
    CAST(%(job)s AS jsonb) || CASE
        WHEN CAST(%(delay)s AS double precision) IS NULL THEN '{}'
        ELSE jsonb_build_object(
            'scheduled_at',
            statement_timestamp() + CAST(%(delay)s AS double precision) * INTERVAL '1 second'
        )
    END,
    CAST(%(rule)s AS jsonb),
    CAST(%(args)s AS jsonb),
    CAST(%(key)s AS text),
    CAST(%(line)s AS text)
)
