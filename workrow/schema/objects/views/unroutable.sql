-- A stock worker does not say what it knows, and fails what it does not: while one lives, it is counted as knowing nothing.
CREATE OR REPLACE VIEW workrow.unroutable AS
SELECT
    job.task_name AS task,
    job.queue_name AS queue,
    count(*) AS jobs,
    min(job.created_at) AS oldest_created_at
FROM procrastinate_jobs AS job
WHERE
    job.status = 'todo'
    AND NOT EXISTS (
        SELECT
        FROM workrow.workers AS worker
        WHERE
            worker.alive
            AND job.task_name = ANY(worker.tasks)
            AND (worker.queues IS NULL OR job.queue_name = ANY(worker.queues))
    )
GROUP BY job.task_name, job.queue_name
