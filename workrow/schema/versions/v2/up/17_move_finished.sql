-- What has ended goes to history, with its times.
WITH ended AS (
    DELETE FROM procrastinate_jobs
    WHERE status NOT IN ('todo', 'doing')
    RETURNING
        id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id,
        worker, created_at, started_at, finished_at, result, errors
)

INSERT INTO workrow.history (
    id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id, worker,
    created_at, started_at, finished_at, result, errors
)
SELECT
    id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id, worker,
    created_at, started_at, coalesce(finished_at, started_at, created_at, now()), result, errors
FROM ended
