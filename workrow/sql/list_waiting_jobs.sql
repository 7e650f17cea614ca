-- All jobs that wait, oldest first, and when each may start: in seconds since 1970, for a session of any DateStyle.
SELECT
    id,
    task_name,
    queue_name,
    priority,
    args,
    CAST(extract(EPOCH FROM CASE WHEN line IS NULL THEN scheduled_at ELSE due_at END) AS double precision) AS at,
    attempts,
    workflow_id AS workflow
FROM procrastinate_jobs
WHERE status = 'todo'
ORDER BY id
