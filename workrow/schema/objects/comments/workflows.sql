DO $comment$
BEGIN
    COMMENT ON VIEW workrow.workflows IS 'Workflows, running and ended.';
    COMMENT ON COLUMN workrow.workflows.id IS 'given by the database';
    COMMENT ON COLUMN workrow.workflows.name IS 'what it was called, or what it is made of';
    COMMENT ON COLUMN workrow.workflows.state IS 'running, paused, stopping (a node failed, others still run), cancelling, compensating, succeeded, failed or cancelled';
    COMMENT ON COLUMN workrow.workflows.size IS 'how many tasks it has';
    COMMENT ON COLUMN workrow.workflows.done IS 'how many of them have ended';
    COMMENT ON COLUMN workrow.workflows.failed IS 'how many of those have failed, or were cancelled or deleted by themselves';
    COMMENT ON COLUMN workrow.workflows.progress IS 'done / size';
    COMMENT ON COLUMN workrow.workflows.on_failure IS 'what a failed node does to the rest: cancel, continue or compensate';
    COMMENT ON COLUMN workrow.workflows.created_at IS 'when it was enqueued';
    COMMENT ON COLUMN workrow.workflows.started_at IS 'when its first job was started; NULL: not yet';
    COMMENT ON COLUMN workrow.workflows.ended_at IS 'when it ended; NULL: not yet';
    COMMENT ON COLUMN workrow.workflows.expected_end IS 'when it will have ended, at the pace so far; NULL: nobody can tell';
    COMMENT ON COLUMN workrow.workflows.error_type IS 'of the first node that failed';
    COMMENT ON COLUMN workrow.workflows.error IS 'what that said';
END
$comment$
