-- What became of calls of Celery tasks, by the ids that the calls have; kept until they expire.
CREATE TABLE workrow.celery_results (
    task_id text COLLATE "C" PRIMARY KEY,
    state text NOT NULL,
    -- what it returned, or what it has said of itself; or the exception, as {"exc_type", "exc_message", "exc_module"}
    value jsonb,
    traceback text,
    -- the calls that it has made
    children jsonb,
    -- name, args, kwargs, worker, queue and retries, with result_extended
    details jsonb,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz
) WITH (fillfactor = 90)
