CREATE OR REPLACE VIEW workrow.jobs AS
SELECT
    job.id,
    job.task_name AS task,
    job.queue_name AS queue,
    job.status,
    job.priority,
    job.lock,
    job.queueing_lock,
    {shown_args:job} AS args,
    -- within the years that every client can read, in any zone
    CASE
        WHEN job.scheduled_at > '9999-12-30 00:00:00+00' THEN '9999-12-30 00:00:00+00'
        WHEN job.scheduled_at < '0001-01-02 00:00:00+00' THEN '0001-01-02 00:00:00+00'
        ELSE job.scheduled_at
    END AS scheduled_at,
    job.created_at,
    job.started_at,
    job.finished_at,
    job.attempts,
    coalesce(job.worker, details.name) AS worker,
    job.worker_id,
    CASE
        WHEN
            job.result IS NOT NULL
            AND EXISTS (
                SELECT FROM workrow.hidden_arguments AS hidden
                WHERE hidden.task_name = job.task_name AND hidden.name = 'return'
            )
            THEN CAST('"***"' AS jsonb)
        ELSE job.result
    END AS result,
    job.errors -> -1 ->> 'message' AS error,
    job.errors -> -1 ->> 'type' AS error_type,
    job.errors -> -1 ->> 'traceback' AS traceback,
    job.errors,
    job.status = 'failed' AND coalesce(CAST(job.errors -> -1 ->> 'discarded' AS boolean), false) AS discarded,
    job.claims,
    job.crashes,
    job.quarantine,
    job.version,
    -- a key or a line from before its argument was hidden has the value; those since have a hash
    CASE
        WHEN
            strpos(job.unique_key, '{') > 0
            AND EXISTS (
                SELECT FROM workrow.hidden_arguments AS hidden
                WHERE
                    hidden.task_name = job.task_name
                    AND (
                        strpos(job.unique_key, format('"%s":', hidden.name)) > 0 OR hidden.name = '*' OR hidden.name ~ '[^ -~]'
                    )
            )
            THEN concat(job.task_name, ':***')
        ELSE job.unique_key
    END AS unique_key,
    CASE
        WHEN job.expires_at > '9999-12-30 00:00:00+00' THEN '9999-12-30 00:00:00+00'
        WHEN job.expires_at < '0001-01-02 00:00:00+00' THEN '0001-01-02 00:00:00+00'
        ELSE job.expires_at
    END AS expires_at,
    job.progress,
    CASE
        WHEN
            job.line IS NOT NULL
            AND EXISTS (
                SELECT FROM workrow.hidden_arguments AS hidden
                WHERE
                    hidden.task_name = job.task_name
                    AND job.line ~ concat(
                        '/', CASE hidden.name WHEN '*' THEN '[^="]+' ELSE hidden.name END, '=(?!#[0-9a-f]{16}")'
                    )
            )
            THEN '***'
        ELSE job.line
    END AS line
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
