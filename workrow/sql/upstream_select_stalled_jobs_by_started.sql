-- procrastinate's select_stalled_jobs_by_started, from the times in the rows.
SELECT
    id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, attempts, worker_id, started_at
FROM procrastinate_jobs
WHERE
    status = 'doing'
    AND (CAST(%(queue)s AS varchar) IS NULL OR queue_name = %(queue)s)
    AND (CAST(%(task_name)s AS varchar) IS NULL OR task_name = %(task_name)s)
    AND started_at < now() - %(nb_seconds)s * INTERVAL '1 second'
