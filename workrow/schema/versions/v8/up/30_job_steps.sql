-- What the steps of jobs have returned, and what jobs wait for. token: the claim that wrote it; of what is waited for, the
-- one that gave its slot away. failed_before: steps that had failed in that attempt, whose place this one may have taken.
-- unwoken: a call has ended, and somebody held its caller's row.
CREATE TABLE workrow.job_steps (
    job_id bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    kind text NOT NULL CHECK (kind IN ('step', 'sleep', 'wait', 'call')),
    token integer NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz,
    signal text COLLATE "C",
    child_id bigint,
    ended_at timestamptz,
    result jsonb,
    error jsonb,
    failed_before text[],
    unwoken boolean NOT NULL DEFAULT false,
    PRIMARY KEY (job_id, name)
)
