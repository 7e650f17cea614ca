-- Calls that wait in queues: those that are due, in their order, and those that are not yet.
WITH waiting AS NOT MATERIALIZED (
    SELECT
        own.id,
        own.task_name,
        own.queue_name,
        own.priority,
        own.args,
        CASE WHEN own.line IS NULL THEN own.scheduled_at ELSE own.due_at END AS eta
    FROM procrastinate_jobs AS own
    WHERE
        own.status = 'todo'
        AND own.queue_name = ANY(CAST(%(queues)s AS text[]))
        AND own.task_name = ANY(CAST(%(tasks)s AS text[]))
),

ready AS (
    SELECT waiting.task_name, waiting.queue_name, waiting.priority, waiting.args, CAST(NULL AS timestamptz) AS eta
    FROM waiting
    WHERE waiting.eta IS NULL OR waiting.eta <= now()
    ORDER BY waiting.priority DESC, waiting.id
    LIMIT CAST(%(ready)s AS integer)
),

later AS (
    SELECT waiting.task_name, waiting.queue_name, waiting.priority, waiting.args, waiting.eta
    FROM waiting
    WHERE waiting.eta > now()
    ORDER BY waiting.eta, waiting.id
    LIMIT CAST(%(later)s AS integer)
)

SELECT ready.task_name, ready.queue_name, ready.priority, ready.args, ready.eta
FROM ready
UNION ALL
SELECT later.task_name, later.queue_name, later.priority, later.args, later.eta
FROM later
