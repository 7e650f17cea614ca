-- Insert one job for each element of "args", all with the same options, in order.
-- A taken queueing lock inserts nothing instead of raising, so that the caller's transaction stays usable.
INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
SELECT
    CAST(%(queue)s AS text),
    CAST(%(task)s AS text),
    CAST(%(priority)s AS integer),
    CAST(%(lock)s AS text),
    CAST(%(queueing_lock)s AS text),
    CAST(job.args AS jsonb),
    CAST(%(scheduled_at)s AS timestamptz)
FROM unnest(CAST(%(args)s AS text[])) WITH ORDINALITY AS job (args, position)
ORDER BY job.position
ON CONFLICT (queueing_lock) WHERE status = 'todo' AND queueing_lock IS NOT NULL DO NOTHING
RETURNING id
