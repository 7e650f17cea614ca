DO $comment$
BEGIN
    COMMENT ON VIEW workrow.workflow_nodes IS 'The nodes of workflows: tasks, and what holds the results of groups together.';
    COMMENT ON COLUMN workrow.workflow_nodes.workflow_id IS 'the workflow';
    COMMENT ON COLUMN workrow.workflow_nodes.node IS 'its number in the workflow';
    COMMENT ON COLUMN workrow.workflow_nodes.name IS 'its name, or its tasks';
    COMMENT ON COLUMN workrow.workflow_nodes.kind IS 'task; gather, a list of results; object, results by name';
    COMMENT ON COLUMN workrow.workflow_nodes.fires IS 'of a callback: success, failure or end of what it follows; of a compensation: undo';
    COMMENT ON COLUMN workrow.workflow_nodes.task IS 'its task';
    COMMENT ON COLUMN workrow.workflow_nodes.queue IS 'the queue of its job';
    COMMENT ON COLUMN workrow.workflow_nodes.state IS 'waiting, ready (the workflow is held), enqueued, running, expanded (waits for what was appended or took its place), succeeded, failed, cancelled or skipped';
    COMMENT ON COLUMN workrow.workflow_nodes.job_id IS 'its job; NULL: not yet';
    COMMENT ON COLUMN workrow.workflow_nodes.parents IS 'the nodes it follows';
    COMMENT ON COLUMN workrow.workflow_nodes.waits_for IS 'those of them that have not ended';
    COMMENT ON COLUMN workrow.workflow_nodes.attempts IS 'of its job, while that is live';
    COMMENT ON COLUMN workrow.workflow_nodes.progress IS 'of its job, while that is live';
    COMMENT ON COLUMN workrow.workflow_nodes.error_type IS 'why it failed: the errors class';
    COMMENT ON COLUMN workrow.workflow_nodes.error IS 'what that said';
    COMMENT ON COLUMN workrow.workflow_nodes.ended_at IS 'when it ended';
    COMMENT ON COLUMN workrow.workflow_nodes.appended_to IS 'the node that it, with what it follows, was appended to, or took the place of';
END
$comment$
