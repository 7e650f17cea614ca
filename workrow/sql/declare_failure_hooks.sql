-- Write down which task is called when a job of these tasks has ended badly. What is there already is left alone, so that the
-- start of a worker waits for nobody.
WITH given AS (
    SELECT task_name, hook_name, argument, queue_name, priority, lock, line, scheduled_at, version
    FROM jsonb_to_recordset(CAST(%(hooks)s AS jsonb)) AS hook (
        task_name text, hook_name text, argument text, queue_name text, priority integer, lock text, line text,
        scheduled_at timestamptz, version smallint
    )
),

removed AS (
    DELETE FROM workrow.failure_hooks
    WHERE
        task_name = ANY(CAST(%(tasks)s AS text[]))
        AND task_name NOT IN (SELECT given.task_name FROM given)
)

INSERT INTO workrow.failure_hooks (
    task_name, hook_name, argument, queue_name, priority, lock, line, scheduled_at, version
)
SELECT
    given.task_name, given.hook_name, given.argument, given.queue_name, given.priority, given.lock, given.line,
    given.scheduled_at, given.version
FROM given
WHERE NOT EXISTS (SELECT FROM workrow.failure_hooks AS known WHERE to_jsonb(known) = to_jsonb(given))
ORDER BY given.task_name
ON CONFLICT (task_name) DO UPDATE
SET
    hook_name = excluded.hook_name,
    argument = excluded.argument,
    queue_name = excluded.queue_name,
    priority = excluded.priority,
    lock = excluded.lock,
    line = excluded.line,
    scheduled_at = excluded.scheduled_at,
    version = excluded.version
RETURNING task_name
