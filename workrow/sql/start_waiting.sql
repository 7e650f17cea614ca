-- From now on this process hears of jobs that end; those that have died are forgotten.
WITH dead AS (
    DELETE FROM workrow.waiters
    -- or the server's clock was set back since
    WHERE until NOT BETWEEN clock_timestamp() AND clock_timestamp() + CAST(%(seconds)s AS double precision) * INTERVAL '2 seconds'
)

INSERT INTO workrow.waiters (listener, until)
VALUES (CAST(%(listener)s AS uuid), clock_timestamp() + CAST(%(seconds)s AS double precision) * INTERVAL '1 second')
ON CONFLICT (listener) DO UPDATE SET until = excluded.until
RETURNING until
