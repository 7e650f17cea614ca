-- Entries of beat_schedule, by the names of their apps: when the call of each was sent last. Whoever moves last_run_at on
-- writes the call in the same transaction.
CREATE TABLE workrow.celery_beat (
    app text COLLATE "C",
    name text COLLATE "C",
    task text NOT NULL,
    schedule text NOT NULL,
    -- NULL: none was set
    timezone text,
    -- a digest of all that is declared: what was declared last is in force
    version text NOT NULL,
    last_run_at timestamptz NOT NULL,
    total_run_count bigint NOT NULL DEFAULT 0,
    -- NULL: not known yet
    next_run_at timestamptz,
    -- why nothing was sent the last time; NULL: it was
    last_error text,
    declared_at timestamptz NOT NULL,
    PRIMARY KEY (app, name)
) WITH (fillfactor = 50)
