-- All jobs that wait, oldest first, and when each may start.
SELECT
    id,
    task_name,
    queue_name,
    priority,
    args,
    CASE WHEN line IS NULL THEN scheduled_at ELSE due_at END AS at,
    attempts
FROM procrastinate_jobs
WHERE status = 'todo'
ORDER BY id
