-- Claim jobs by the ids in their notifications, if they are still ready and of our queues.
UPDATE procrastinate_jobs
SET status = 'doing', worker_id = %(worker_id)s, started_at = now(), claims = least(claims, 2147483646) + 1
WHERE id = ANY(ARRAY(
    SELECT id
    FROM procrastinate_jobs
    WHERE
        id = ANY(CAST(%(ids)s AS bigint[]))
        AND {ready}
        AND lock IS NULL
        AND task_name = ANY(CAST(%(tasks)s AS text[]))
        AND (version IS NULL OR version = 1 OR task_name || ':' || version = ANY(CAST(%(signatures)s AS text[])))
        AND (CAST(%(queues)s AS text[]) IS NULL OR queue_name = ANY(CAST(%(queues)s AS text[])))
        AND queue_name <> ALL(CAST(%(paused)s AS text[]))
    ORDER BY priority DESC, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
RETURNING
    id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, attempts, claims, crashes,
    CAST(extract(EPOCH FROM expires_at) - extract(EPOCH FROM clock_timestamp()) AS double precision) AS expires_in, version,
    {claimed_workflow}
