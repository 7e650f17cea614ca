-- Claim the next ready jobs of one queue and one priority, in order. "after" is the highest id claimed before: the
-- index entries below it are dead or claimed, and under a snapshot that somebody holds open nobody may remove them.
-- An array instead of a join with a CTE: twice as fast in batches of 500.
UPDATE procrastinate_jobs
SET status = 'doing', worker_id = %(worker_id)s, started_at = now(), claims = least(claims, 2147483646) + 1
WHERE id = ANY(ARRAY(
    SELECT id
    FROM procrastinate_jobs
    WHERE
        {ready}
        AND lock IS NULL
        AND task_name = ANY(CAST(%(tasks)s AS text[]))
        AND (version IS NULL OR version = 1 OR task_name || ':' || version = ANY(CAST(%(signatures)s AS text[])))
        AND queue_name = %(queue)s
        AND priority = %(priority)s
        AND id + 0 > %(after)s
    ORDER BY id + 0
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
RETURNING
    id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, attempts, claims, crashes,
    CAST(extract(EPOCH FROM expires_at) - extract(EPOCH FROM clock_timestamp()) AS double precision) AS expires_in, version,
    {claimed_workflow}
