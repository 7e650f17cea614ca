-- One small row for each line: jobs of the same queue and task that wait for the same buckets. It is ready, or blocked on
-- a bucket that is full, or waits for a time; a line without jobs has no row. turn: who comes next, the lowest first.
CREATE TABLE workrow.lines (
    line text COLLATE "C" PRIMARY KEY,
    queue_name text NOT NULL,
    task_name text NOT NULL,
    buckets text[] COLLATE "C" NOT NULL,
    priority integer NOT NULL,
    turn double precision NOT NULL,
    blocked_on text COLLATE "C",
    wake_at timestamptz
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
