-- The columns that Call.enqueue_copy streams.
COPY procrastinate_jobs (
    queue_name, task_name, priority, lock, queueing_lock, scheduled_at, due_at, version, line, args
) FROM STDIN
