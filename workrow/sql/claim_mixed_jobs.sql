-- Claim the next ready jobs of one queue and one priority where some were scheduled, retried or snoozed: by the time since
-- which they are ready, then by id, so that what comes back again and again waits behind what has waited longer. "after" is
-- as in claim_jobs, and says nothing of those that were scheduled: these have an index of their own.
UPDATE procrastinate_jobs
SET status = 'doing', worker_id = %(worker_id)s, started_at = now(), claims = least(claims, 2147483646) + 1
WHERE id = ANY(ARRAY(
    SELECT candidate.id
    FROM (
        SELECT fresh.id, fresh.ready_at
        FROM (
            SELECT id, created_at AS ready_at
            FROM procrastinate_jobs
            WHERE
                {ready}
                AND lock IS NULL
                AND scheduled_at IS NULL
                AND task_name = ANY(CAST(%(tasks)s AS text[]))
                AND (version IS NULL OR version = 1 OR task_name || ':' || version = ANY(CAST(%(signatures)s AS text[])))
                AND queue_name = %(queue)s
                AND priority = %(priority)s
                AND id + 0 > %(after)s
            ORDER BY id + 0
            LIMIT %(limit)s
            FOR UPDATE SKIP LOCKED
        ) AS fresh
        UNION ALL
        SELECT scheduled.id, scheduled.ready_at
        FROM (
            SELECT id, scheduled_at AS ready_at
            FROM procrastinate_jobs
            WHERE
                status = 'todo'
                AND lock IS NULL
                AND scheduled_at IS NOT NULL
                AND staged_at = scheduled_at
                AND task_name = ANY(CAST(%(tasks)s AS text[]))
                AND (version IS NULL OR version = 1 OR task_name || ':' || version = ANY(CAST(%(signatures)s AS text[])))
                AND queue_name = %(queue)s
                AND priority = %(priority)s
            ORDER BY scheduled_at, id
            LIMIT %(limit)s
            FOR UPDATE SKIP LOCKED
        ) AS scheduled
    ) AS candidate
    ORDER BY candidate.ready_at NULLS FIRST, candidate.id
    LIMIT %(limit)s
))
RETURNING
    id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, attempts, claims, crashes,
    CAST(extract(EPOCH FROM expires_at) - extract(EPOCH FROM clock_timestamp()) AS double precision) AS expires_in, version,
    {claimed_workflow}
