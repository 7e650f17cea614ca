-- Calls that are not to run, by their ids or by a header that they are stamped with; for those that are still to come.
CREATE TABLE workrow.celery_revoked (
    task_id text COLLATE "C",
    header text,
    value jsonb,
    revoked_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
