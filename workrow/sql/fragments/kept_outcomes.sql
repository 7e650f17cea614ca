-- The rows of these jobs in history.
INSERT INTO workrow.history (
    id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id, worker,
    created_at, started_at, finished_at, result, errors, claims, crashes, quarantine,
    version, unique_key, expires_at, progress, line, workflow_id, workflow_node
)
SELECT
    ended.id,
    ended.queue_name,
    ended.task_name,
    ended.priority,
    ended.lock,
    ended.queueing_lock,
    ended.args,
    CAST(outcome.status AS procrastinate_job_status),
    ended.scheduled_at,
    ended.attempts + CASE WHEN outcome.quarantine IS NULL AND ended.attempts < 2147483647 THEN 1 ELSE 0 END,
    ended.worker_id,
    CAST(%(worker)s AS text),
    ended.created_at,
    ended.started_at + outcome.waited * INTERVAL '1 second',
    ended.started_at + (outcome.waited + outcome.lasted) * INTERVAL '1 second',
    CAST(outcome.result AS jsonb),
    CASE
        WHEN outcome.error IS NULL THEN ended.errors
        ELSE workrow.with_error_v1(
            ended.errors,
            CAST(outcome.error AS jsonb)
            || jsonb_build_object('at', ended.started_at + (outcome.waited + outcome.lasted) * INTERVAL '1 second')
        )
    END,
    ended.claims,
    ended.crashes,
    outcome.quarantine,
    ended.version,
    ended.unique_key,
    ended.expires_at,
    CASE
        WHEN outcome.progress IS NULL THEN ended.progress
        ELSE CAST(outcome.progress AS jsonb) || jsonb_build_object('at', clock_timestamp())
    END,
    ended.line,
    ended.workflow_id,
    ended.workflow_node
FROM ended
INNER JOIN outcome ON ended.id = outcome.id AND ended.claims = outcome.token
