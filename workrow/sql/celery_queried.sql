-- Calls of these ids that wait, and whether for their time.
SELECT
    own.task_name,
    own.queue_name,
    own.priority,
    own.args,
    coalesce(CASE WHEN own.line IS NULL THEN own.scheduled_at ELSE own.due_at END > now(), false) AS later
FROM unnest(CAST(%(ids)s AS text[])) AS wanted (task_id)
INNER JOIN procrastinate_jobs AS own ON own.args ->> 'id' = wanted.task_id
WHERE
    own.status = 'todo'
    AND jsonb_exists(own.args, 'root_id')
    AND own.task_name = ANY(CAST(%(tasks)s AS text[]))
