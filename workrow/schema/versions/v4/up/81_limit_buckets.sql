-- One row for each limit and key that jobs have met: what a claim locks, and what a rate remembers. cells and counts: how
-- many were admitted in each fiftieth of the rate's period, for the last period.
CREATE TABLE workrow.limit_buckets (
    bucket text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    tokens double precision,
    refilled_at timestamptz,
    cells bigint[] NOT NULL DEFAULT '{}',
    counts integer[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
