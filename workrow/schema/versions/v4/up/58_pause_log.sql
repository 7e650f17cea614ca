-- A row for each pause, kept for a while after its end.
CREATE TABLE workrow.pause_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('queue', 'task')),
    name text NOT NULL,
    actor text,
    reason text,
    paused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resumed_at timestamptz,
    resumed_by text,
    resume_reason text
)
