-- Calls that were revoked while they waited, until a worker sends task_revoked for them.
CREATE TABLE workrow.celery_untold (
    job_id bigint PRIMARY KEY,
    task_name text NOT NULL,
    queue_name text NOT NULL,
    args jsonb NOT NULL,
    revoked_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
