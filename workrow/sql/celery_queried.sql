-- Calls of these ids that wait, and whether for their time.
SELECT
    own.task_name,
    own.queue_name,
    own.priority,
    own.args,
    coalesce(CASE WHEN own.line IS NULL THEN own.scheduled_at ELSE own.due_at END > now(), false) AS later
FROM procrastinate_jobs AS own
WHERE
    own.status = 'todo'
    AND own.task_name = ANY(CAST(%(tasks)s AS text[]))
    AND own.args ->> 'id' = ANY(CAST(%(ids)s AS text[]))
