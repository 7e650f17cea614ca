CREATE OR REPLACE VIEW workrow.jobs AS
SELECT
    job.id,
    job.task_name AS task,
    job.queue_name AS queue,
    job.status,
    job.priority,
    job.lock,
    job.queueing_lock,
    job.args,
    job.scheduled_at,
    job.created_at,
    job.started_at,
    job.finished_at,
    job.attempts,
    coalesce(job.worker, details.name) AS worker,
    job.worker_id,
    job.result,
    job.errors -> -1 ->> 'message' AS error,
    job.errors -> -1 ->> 'type' AS error_type,
    job.errors -> -1 ->> 'traceback' AS traceback,
    job.errors,
    job.status = 'failed' AND coalesce(CAST(job.errors -> -1 ->> 'discarded' AS boolean), false) AS discarded,
    job.claims,
    job.crashes,
    job.quarantine,
    job.version,
    job.unique_key,
    job.expires_at,
    job.progress,
    job.line
FROM (
    SELECT
        id, task_name, queue_name, status, priority, lock, queueing_lock, args,
        CASE WHEN line IS NULL OR status <> 'todo' THEN scheduled_at ELSE coalesce(due_at, staged_at) END AS scheduled_at,
        created_at, started_at, finished_at, attempts, worker, worker_id, result, errors, claims, crashes,
        CAST(NULL AS text) AS quarantine, coalesce(version, CAST(1 AS smallint)) AS version, unique_key, expires_at,
        progress, line
    FROM procrastinate_jobs
    UNION ALL
    SELECT
        id, task_name, queue_name, status, priority, lock, queueing_lock, args, scheduled_at, created_at, started_at,
        finished_at, attempts, worker, worker_id, result, errors, claims, crashes, quarantine,
        coalesce(version, CAST(1 AS smallint)) AS version, unique_key, expires_at, progress, line
    FROM workrow.history
) AS job
LEFT JOIN workrow.worker_details AS details ON details.worker_id = job.worker_id
