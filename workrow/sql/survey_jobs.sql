-- What could be claimed: each queue and priority with a ready job and the first one's id, whether a lock has one, the
-- seconds until the next job is due; and what is paused. One index probe each: the cost follows the queues, not the jobs; only jobs
-- of unknown tasks are walked over.
WITH RECURSIVE ready AS (
    (
        SELECT queue_name, priority, id
        FROM procrastinate_jobs
        WHERE
            status = 'todo'
            AND lock IS NULL
            AND (scheduled_at IS NULL OR staged_at = scheduled_at)
            AND task_name = ANY(CAST(%(tasks)s AS text[]))
            AND (version IS NULL OR task_name || ':' || version = ANY(CAST(%(signatures)s AS text[])))
        ORDER BY queue_name, priority DESC, id + 0
        LIMIT 1
    )
    UNION ALL
    SELECT following.queue_name, following.priority, following.id
    FROM ready
    CROSS JOIN LATERAL (
        (
            SELECT job.queue_name, job.priority, job.id, 1 AS step
            FROM procrastinate_jobs AS job
            WHERE
                job.status = 'todo'
                AND job.lock IS NULL
                AND (job.scheduled_at IS NULL OR job.staged_at = job.scheduled_at)
                AND job.task_name = ANY(CAST(%(tasks)s AS text[]))
                AND (job.version IS NULL OR job.task_name || ':' || job.version = ANY(CAST(%(signatures)s AS text[])))
                AND job.queue_name = ready.queue_name
                AND job.priority < ready.priority
            ORDER BY job.priority DESC, job.id + 0
            LIMIT 1
        )
        UNION ALL
        (
            SELECT job.queue_name, job.priority, job.id, 2 AS step
            FROM procrastinate_jobs AS job
            WHERE
                job.status = 'todo'
                AND job.lock IS NULL
                AND (job.scheduled_at IS NULL OR job.staged_at = job.scheduled_at)
                AND job.task_name = ANY(CAST(%(tasks)s AS text[]))
                AND (job.version IS NULL OR job.task_name || ':' || job.version = ANY(CAST(%(signatures)s AS text[])))
                AND job.queue_name > ready.queue_name
            ORDER BY job.queue_name, job.priority DESC, job.id + 0
            LIMIT 1
        )
        ORDER BY step
        LIMIT 1
    ) AS following
)

(
    SELECT 'ready' AS kind, queue_name, priority, id, CAST(NULL AS double precision) AS seconds
    FROM ready
    LIMIT 1000
)
UNION ALL
(
    SELECT 'locked', NULL, NULL, NULL, NULL
    FROM procrastinate_jobs
    WHERE
        status = 'todo'
        AND lock IS NOT NULL
        AND (scheduled_at IS NULL OR staged_at = scheduled_at)
    ORDER BY lock
    LIMIT 1
)
UNION ALL
(
    SELECT 'due', NULL, NULL, NULL, CAST(extract(EPOCH FROM scheduled_at - clock_timestamp()) AS double precision)
    FROM procrastinate_jobs
    WHERE status = 'todo' AND scheduled_at IS NOT NULL AND staged_at IS DISTINCT FROM scheduled_at
    ORDER BY scheduled_at
    LIMIT 1
)
UNION ALL
SELECT 'paused ' || kind, name, NULL, NULL, NULL
FROM workrow.pause_log
WHERE resumed_at IS NULL
