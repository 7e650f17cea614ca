-- What has ended comes back from history; what is still here gets a time.
WITH left_behind AS (
    UPDATE procrastinate_jobs
    SET finished_at = now()
    WHERE status NOT IN ('todo', 'doing') AND finished_at IS NULL
)

INSERT INTO procrastinate_jobs (
    id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id, worker,
    created_at, started_at, finished_at, result, errors
)
SELECT
    id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id, worker,
    created_at, started_at, finished_at, result, errors
FROM workrow.history
