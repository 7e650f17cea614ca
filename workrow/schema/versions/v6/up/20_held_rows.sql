-- What a worker has set aside, for an open transaction holds it; said again every second. It is written only while there
-- is something. See the view workrow.held.
CREATE UNLOGGED TABLE workrow.held_rows (
    worker_id bigint NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    pid integer,
    since timestamptz NOT NULL,
    said_at timestamptz NOT NULL,
    PRIMARY KEY (worker_id, kind, name)
)
