-- Claim the first job of each lock that nobody holds: one index probe a lock, however many jobs wait behind it.
-- The scan starts after the lock where the last one ended, so that every lock gets its turn; "last_key" says where this
-- one ended (NULL: there are no more). Two workers choose the same head of a lock, and SKIP LOCKED
-- gives it to one of them; the unique index on (lock) WHERE doing would stop what slips through.
WITH RECURSIVE keys AS (
    -- the empty string is the one key that is not greater than itself
    SELECT CAST(%(after)s AS text) AS lock, 0 AS position
    UNION ALL
    SELECT
        (
            SELECT job.lock
            FROM procrastinate_jobs AS job
            WHERE
                {ready:job}
                AND job.lock IS NOT NULL
                AND job.lock > keys.lock
            ORDER BY job.lock
            LIMIT 1
        ),
        keys.position + 1
    FROM keys
    WHERE keys.lock IS NOT NULL AND keys.position < %(keys)s
),

heads AS (
    SELECT head.id, keys.lock
    FROM keys
    CROSS JOIN LATERAL (
        SELECT job.id, job.priority, job.queue_name, job.task_name, job.version
        FROM procrastinate_jobs AS job
        WHERE
            {ready:job}
            AND job.lock IS NOT NULL
            AND job.lock = keys.lock
        ORDER BY job.priority DESC, job.id
        LIMIT 1
    ) AS head
    WHERE
        (keys.position > 0 OR keys.lock = '')
        AND head.task_name = ANY(CAST(%(tasks)s AS text[]))
        AND (head.version IS NULL OR head.version = 1 OR head.task_name || ':' || head.version = ANY(CAST(%(signatures)s AS text[])))
        AND (CAST(%(queues)s AS text[]) IS NULL OR head.queue_name = ANY(CAST(%(queues)s AS text[])))
        AND head.queue_name <> ALL(CAST(%(paused)s AS text[]))
        -- a subquery with LIMIT stays one index probe a lock; NOT EXISTS became a join of all locks with all holders
        AND (
            SELECT holder.id
            FROM procrastinate_jobs AS holder
            WHERE holder.status = 'doing' AND holder.lock = keys.lock
            LIMIT 1
        ) IS NULL
    LIMIT %(limit)s
),

claimed AS (
    UPDATE procrastinate_jobs
    SET status = 'doing', worker_id = %(worker_id)s, started_at = now(), claims = least(claims, 2147483646) + 1
    WHERE id = ANY(ARRAY(
        SELECT id
        FROM procrastinate_jobs
        WHERE id = ANY(ARRAY(SELECT heads.id FROM heads)) AND status = 'todo'
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING
        id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, attempts, claims, crashes,
        CAST(extract(EPOCH FROM expires_at) - extract(EPOCH FROM clock_timestamp()) AS double precision) AS expires_in, version,
        {claimed_workflow}
)

SELECT
    scan.last_key,
    claimed.id,
    claimed.queue_name,
    claimed.task_name,
    claimed.priority,
    claimed.lock,
    claimed.queueing_lock,
    claimed.args,
    claimed.scheduled_at,
    claimed.attempts,
    claimed.claims,
    claimed.crashes,
    claimed.expires_in,
    claimed.version,
    claimed.workflow
FROM (
    -- the recursion is lazy: with enough heads found, nobody asks for its end
    SELECT
        CASE
            WHEN (SELECT count(*) FROM heads) >= %(limit)s THEN (SELECT max(heads.lock) FROM heads)
            ELSE (SELECT keys.lock FROM keys ORDER BY keys.position DESC LIMIT 1)
        END AS last_key
) AS scan
LEFT JOIN claimed ON true
ORDER BY claimed.priority DESC, claimed.id
