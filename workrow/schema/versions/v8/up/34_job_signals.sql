-- Signals to jobs, in the order in which they are taken. taken_by: the step that waited for it.
CREATE TABLE workrow.job_signals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    value jsonb,
    sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    taken_by text COLLATE "C"
)
