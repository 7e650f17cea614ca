-- An entry is brought from elsewhere. One that is the same there as it was keeps what was changed here.
INSERT INTO workrow.celery_entries AS known (
    app, name, task, schedule, args, kwargs, options, enabled, one_off, starts_at, ends_at, last_run_at, source, version
)
VALUES (
    %(app)s, %(name)s, %(task)s, CAST(%(schedule)s AS jsonb), CAST(%(args)s AS jsonb), CAST(%(kwargs)s AS jsonb),
    CAST(%(options)s AS jsonb), %(enabled)s, %(one_off)s, %(starts_at)s, %(ends_at)s, %(last_run_at)s, %(source)s,
    %(version)s
)
ON CONFLICT (app, name) DO UPDATE
SET
    task = excluded.task,
    schedule = excluded.schedule,
    args = excluded.args,
    kwargs = excluded.kwargs,
    options = excluded.options,
    enabled = excluded.enabled,
    one_off = excluded.one_off,
    starts_at = excluded.starts_at,
    ends_at = excluded.ends_at,
    last_run_at = excluded.last_run_at,
    version = excluded.version
WHERE known.version IS DISTINCT FROM excluded.version AND known.source = excluded.source
RETURNING name
