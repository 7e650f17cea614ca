-- The nodes of workflows. One that waits is no job yet: no claim sees it. No index but the key, and room in
-- each page, so that the end of a node is an update in place.
CREATE TABLE workrow.flow_nodes (
    flow_id bigint NOT NULL,
    number integer NOT NULL,
    name text,
    -- task; gather (its value is a list of values), object (of values by name), stripe (counts for a large gather), batch
    kind text NOT NULL,
    -- waiting, ready (its turn, and the workflow is held), enqueued (a job), expanded (waits for what took its place or was
    -- appended), succeeded, failed, cancelled, skipped
    state text NOT NULL,
    -- how many nodes it still waits for; of a batch the number of a member that has not ended, see settle_batches_v1
    pending integer NOT NULL,
    -- who waits for it
    dependents integer[],
    -- whom it waits for, or follows; a gather's value is made of theirs
    parents integer[],
    -- argument -> the node whose value it is
    takes jsonb,
    -- its result is kept here, for somebody needs it
    kept boolean NOT NULL,
    -- a callback's or a compensation's: success, failure or end of what; undo
    fires text,
    callbacks integer[],
    -- cancel, continue or compensate; NULL: what the workflow says
    on_failure text,
    -- queue, task and options of its job
    spec jsonb,
    args jsonb,
    line text COLLATE "C",
    job_id bigint,
    -- the node that this one was appended to while that ran
    appended_to integer,
    -- the node whose value is its own, for its task returned a workflow
    replaced_by integer,
    result jsonb,
    error jsonb,
    ended_at timestamptz,
    PRIMARY KEY (flow_id, number)
) WITH (fillfactor = 45)
