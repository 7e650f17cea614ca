-- Insert one job. A taken queueing lock inserts nothing, as in enqueue_jobs.
INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
VALUES (
    CAST(%(queue)s AS text),
    CAST(%(task)s AS text),
    CAST(%(priority)s AS integer),
    CAST(%(lock)s AS text),
    CAST(%(queueing_lock)s AS text),
    CAST(%(args)s AS jsonb),
    CAST(%(scheduled_at)s AS timestamptz)
)
ON CONFLICT (queueing_lock) WHERE status = 'todo' AND queueing_lock IS NOT NULL DO NOTHING
RETURNING id
