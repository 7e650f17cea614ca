-- Which of these jobs wait or run, and whether a pause of their queue or task is what they wait for.
SELECT
    id,
    status = 'todo' AND EXISTS (
        SELECT 1
        FROM workrow.pause_log AS pause
        WHERE
            pause.resumed_at IS NULL
            AND (pause.kind, pause.name) IN (('queue', job.queue_name), ('task', job.task_name))
    ) AS paused
FROM procrastinate_jobs AS job
WHERE id = ANY(CAST(%(ids)s AS bigint[])) AND status IN ('todo', 'doing')
