-- Entries that beat sends beside those of beat_schedule, by the names of their apps. Who changes a row changes what is sent.
CREATE TABLE workrow.celery_entries (
    app text COLLATE "C",
    name text COLLATE "C",
    task text NOT NULL,
    -- {"crontab": {"minute": "0", ..., "timezone": "Europe/Berlin"}}, {"every": seconds, "relative": false},
    -- {"solar": {"event": "sunset", "lat": 52.5, "lon": 13.4}} or {"at": "2030-01-01T00:00:00+00:00"}
    schedule jsonb NOT NULL,
    args jsonb NOT NULL DEFAULT '[]',
    kwargs jsonb NOT NULL DEFAULT '{}',
    -- of apply_async
    options jsonb NOT NULL DEFAULT '{}',
    enabled boolean NOT NULL DEFAULT true,
    -- sent once, and not enabled any more
    one_off boolean NOT NULL DEFAULT false,
    -- nothing is sent before the one and after the other; NULL: no such time
    starts_at timestamptz,
    ends_at timestamptz,
    -- when it was sent last, elsewhere; NULL: it counts from when beat sees it first
    last_run_at timestamptz,
    -- where it was brought from, and a digest of what it was there
    source text,
    version text,
    PRIMARY KEY (app, name)
)
