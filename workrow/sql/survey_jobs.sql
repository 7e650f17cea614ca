-- What could be claimed: of each queue that is served (given, or found after "from_queue", a thousand at a time) the highest
-- priorities with a ready job, how many seconds its head has waited, the first id that was never scheduled (NULL: none), and
-- whether jobs wait there that were; whether a lock has a ready job; the seconds until the next job is due; and what is paused.
-- One index probe each: the cost follows the queues that are served, not the jobs; only jobs of unknown tasks are walked
-- over, and to the first id those that were scheduled.
WITH RECURSIVE names AS (
    SELECT CAST(%(from_queue)s AS text) AS name, 0 AS position
    UNION ALL
    SELECT following.queue_name, names.position + 1
    FROM names
    CROSS JOIN LATERAL (
        SELECT job.queue_name
        FROM procrastinate_jobs AS job
        WHERE
            {ready:job}
            AND job.lock IS NULL
            AND job.queue_name > names.name
        ORDER BY job.queue_name
        LIMIT 1
    ) AS following
    WHERE CAST(%(queues)s AS text[]) IS NULL AND names.position < 1000
),

served AS (
    -- where it begins is the queue without a name, which comes after none
    SELECT names.name
    FROM names
    WHERE names.position > 0 OR (names.name = '' AND CAST(%(queues)s AS text[]) IS NULL)
    UNION ALL
    SELECT DISTINCT given.name FROM unnest(CAST(%(queues)s AS text[])) AS given (name)
),

ready AS (
    SELECT served.name, level.priority, level.id, level.ready_at, level.was_scheduled
    FROM served
    CROSS JOIN LATERAL (
        WITH RECURSIVE levels AS (
            (
                SELECT job.priority, job.id, job.scheduled_at, job.created_at, 1 AS position
                FROM procrastinate_jobs AS job
                WHERE
                    {ready:job}
                    AND job.lock IS NULL
                    AND job.task_name = ANY(CAST(%(tasks)s AS text[]))
                    AND (job.version IS NULL OR job.version = 1 OR job.task_name || ':' || job.version = ANY(CAST(%(signatures)s AS text[])))
                    AND job.queue_name = served.name
                ORDER BY job.priority DESC, job.id + 0
                LIMIT 1
            )
            UNION ALL
            SELECT
                following.priority, following.id, following.scheduled_at, following.created_at, levels.position + 1
            FROM levels
            CROSS JOIN LATERAL (
                SELECT job.priority, job.id, job.scheduled_at, job.created_at
                FROM procrastinate_jobs AS job
                WHERE
                    {ready:job}
                    AND job.lock IS NULL
                    AND job.task_name = ANY(CAST(%(tasks)s AS text[]))
                    AND (job.version IS NULL OR job.version = 1 OR job.task_name || ':' || job.version = ANY(CAST(%(signatures)s AS text[])))
                    AND job.queue_name = served.name
                    AND job.priority < levels.priority
                ORDER BY job.priority DESC, job.id + 0
                LIMIT 1
            ) AS following
            WHERE levels.position < %(levels)s
        )

        SELECT
            levels.priority,
            CASE WHEN levels.scheduled_at IS NULL THEN levels.id ELSE fresh.id END AS id,
            least(
                CASE WHEN levels.scheduled_at IS NULL THEN levels.created_at ELSE fresh.created_at END,
                scheduled.scheduled_at
            ) AS ready_at,
            scheduled.scheduled_at IS NOT NULL AS was_scheduled
        FROM levels
        LEFT JOIN LATERAL (
            SELECT job.id, job.created_at
            FROM procrastinate_jobs AS job
            WHERE
                levels.scheduled_at IS NOT NULL
                AND {ready:job}
                AND job.lock IS NULL
                AND job.scheduled_at IS NULL
                AND job.task_name = ANY(CAST(%(tasks)s AS text[]))
                AND (job.version IS NULL OR job.version = 1 OR job.task_name || ':' || job.version = ANY(CAST(%(signatures)s AS text[])))
                AND job.queue_name = served.name
                AND job.priority = levels.priority
            ORDER BY job.id + 0
            LIMIT 1
        ) AS fresh ON true
        LEFT JOIN LATERAL (
            SELECT job.scheduled_at
            FROM procrastinate_jobs AS job
            WHERE
                job.status = 'todo'
                AND job.lock IS NULL
                AND job.scheduled_at IS NOT NULL
                AND job.staged_at = job.scheduled_at
                AND job.task_name = ANY(CAST(%(tasks)s AS text[]))
                AND (job.version IS NULL OR job.version = 1 OR job.task_name || ':' || job.version = ANY(CAST(%(signatures)s AS text[])))
                AND job.queue_name = served.name
                AND job.priority = levels.priority
            ORDER BY job.scheduled_at, job.id
            LIMIT 1
        ) AS scheduled ON true
    ) AS level
    WHERE served.name <> ALL(CAST(%(paused)s AS text[]))
)

SELECT
    'ready' AS kind,
    name,
    priority,
    id,
    CAST(extract(EPOCH FROM clock_timestamp()) - extract(EPOCH FROM ready_at) AS double precision) AS seconds,
    was_scheduled
FROM ready
UNION ALL
SELECT 'more', name, NULL, NULL, NULL, NULL
FROM names
WHERE position = 1000
UNION ALL
(
    SELECT 'locked', NULL, NULL, NULL, NULL, NULL
    FROM procrastinate_jobs
    WHERE
        {ready}
        AND lock IS NOT NULL
    ORDER BY lock
    LIMIT 1
)
UNION ALL
(
    SELECT 'due', NULL, NULL, NULL, CAST(extract(EPOCH FROM scheduled_at) - extract(EPOCH FROM clock_timestamp()) AS double precision), NULL
    FROM procrastinate_jobs
    WHERE status = 'todo' AND scheduled_at IS NOT NULL AND staged_at IS DISTINCT FROM scheduled_at
    ORDER BY scheduled_at
    LIMIT 1
)
UNION ALL
SELECT 'paused ' || kind, name, NULL, NULL, NULL, NULL
FROM workrow.pause_log
WHERE resumed_at IS NULL
