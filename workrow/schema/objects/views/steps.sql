CREATE OR REPLACE VIEW workrow.steps AS
SELECT
    step.job_id,
    job.task_name AS task,
    job.queue_name AS queue,
    step.name,
    step.kind,
    CASE
        WHEN step.error ->> 'type' = 'workrow.SignalTimeout' THEN 'timed out'
        WHEN step.error ->> 'status' <> 'succeeded' THEN 'failed'
        WHEN step.ended_at IS NOT NULL OR step.kind = 'sleep' AND step.due_at <= clock_timestamp() THEN 'done'
        WHEN job.status IN ('todo', 'doing') THEN 'waiting'
        ELSE 'left'
    END AS state,
    step.noted_at,
    -- within the years that every client can read, in any zone
    CASE
        WHEN step.due_at > '9999-12-30 00:00:00+00' THEN '9999-12-30 00:00:00+00'
        WHEN step.due_at < '0001-01-02 00:00:00+00' THEN '0001-01-02 00:00:00+00'
        ELSE step.due_at
    END AS due_at,
    step.signal,
    step.child_id,
    step.ended_at,
    CASE
        WHEN
            step.result IS NOT NULL
            AND EXISTS (SELECT FROM workrow.hidden_arguments AS hidden WHERE hidden.task_name = job.task_name)
            THEN CAST('"***"' AS jsonb)
        ELSE step.result
    END AS result,
    step.error ->> 'message' AS error,
    step.error ->> 'type' AS error_type
FROM workrow.job_steps AS step
INNER JOIN LATERAL (
    SELECT live.task_name, live.queue_name, live.status FROM procrastinate_jobs AS live WHERE live.id = step.job_id
    UNION ALL
    SELECT ended.task_name, ended.queue_name, ended.status FROM workrow.history AS ended WHERE ended.id = step.job_id
) AS job ON true
