-- Runs of tasks here beside Celery's, which were rolled back, and what differed.
CREATE TABLE workrow.celery_bridge_shadows (
    task_id text COLLATE "C" PRIMARY KEY,
    task text NOT NULL,
    -- "equal", "result", "error"; "skipped": not compared
    verdict text NOT NULL,
    -- what differs, or why it was not compared
    why text,
    their_seconds double precision,
    our_seconds double precision,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
