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
    job.status = 'failed' AND coalesce(CAST(job.errors -> -1 ->> 'discarded' AS boolean), false) AS discarded
FROM procrastinate_jobs AS job
LEFT JOIN workrow.worker_details AS details ON details.worker_id = job.worker_id
