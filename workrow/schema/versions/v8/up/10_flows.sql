-- One row for each workflow. Its lock is what ends of its nodes take one after the other: whoever has it knows all of them.
CREATE TABLE workrow.flows (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    -- running; stopping (a node failed), cancelling or compensating until nothing runs any more; succeeded, failed, cancelled
    state text NOT NULL DEFAULT 'running',
    paused boolean NOT NULL DEFAULT false,
    -- what a failed node does to the rest: cancel, continue or compensate
    on_failure text NOT NULL,
    -- the node whose value is the workflow's
    root integer NOT NULL,
    size integer NOT NULL,
    -- nodes that are enqueued when it has ended
    callbacks integer[],
    failed_node integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
) WITH (fillfactor = 50)
