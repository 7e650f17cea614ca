DO $comment$
BEGIN
    COMMENT ON VIEW workrow.queues IS 'Every queue that has a job, live or finished.';
    COMMENT ON COLUMN workrow.queues.queue IS 'the queue''s name';
    COMMENT ON COLUMN workrow.queues.depth IS 'jobs that wait: ready and scheduled';
    COMMENT ON COLUMN workrow.queues.ready IS 'jobs that wait and are due (those waiting behind a lock included)';
    COMMENT ON COLUMN workrow.queues.scheduled IS 'jobs that wait for a later time';
    COMMENT ON COLUMN workrow.queues.running IS 'jobs that run';
    COMMENT ON COLUMN workrow.queues.oldest_ready_at IS 'since when the oldest ready job is due; NULL when none is ready';
    COMMENT ON COLUMN workrow.queues.oldest_ready_seconds IS 'its age in seconds';
END
$comment$
