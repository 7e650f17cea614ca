DO $comment$
BEGIN
    COMMENT ON COLUMN workrow.jobs.version IS 'of the task''s signature that the arguments fit';
    COMMENT ON COLUMN workrow.jobs.unique_key IS 'at most one job has it at a time';
    COMMENT ON COLUMN workrow.jobs.expires_at IS 'not started by then, it is cancelled';
    COMMENT ON COLUMN workrow.jobs.progress IS 'what the task said last: done, total, message, at';
    COMMENT ON COLUMN workrow.jobs.line IS 'the limits that it queues for; NULL: none';
END
$comment$
