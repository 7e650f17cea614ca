-- What beat has to send is declared, as it is now. A new entry counts from now, or from when it was sent elsewhere; one in
-- another time zone from now.
INSERT INTO workrow.celery_beat AS known (app, name, task, schedule, timezone, version, last_run_at, declared_at)
VALUES (
    %(app)s, %(name)s, %(task)s, %(schedule)s, %(timezone)s, %(version)s,
    coalesce(CAST(%(last)s AS timestamptz), clock_timestamp()), clock_timestamp()
)
ON CONFLICT (app, name) DO UPDATE
SET
    task = excluded.task,
    schedule = excluded.schedule,
    timezone = excluded.timezone,
    version = excluded.version,
    last_run_at = CASE WHEN known.timezone <> excluded.timezone THEN excluded.declared_at ELSE known.last_run_at END,
    total_run_count = CASE WHEN known.timezone <> excluded.timezone THEN 0 ELSE known.total_run_count END,
    next_run_at = NULL,
    declared_at = excluded.declared_at
WHERE known.version <> excluded.version
RETURNING name
