-- One row for each key of a throttle: when its last jobs were let through. Whoever holds the row decides, and the others
-- wait for its commit.
CREATE TABLE workrow.throttles (
    key text PRIMARY KEY,
    taken timestamptz[] NOT NULL,
    job_id bigint,
    over_at timestamptz NOT NULL
) WITH (fillfactor = 70)
