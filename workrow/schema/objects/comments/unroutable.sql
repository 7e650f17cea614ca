DO $comment$
BEGIN
    COMMENT ON VIEW workrow.unroutable IS 'Waiting jobs that no living worker would take: their task, or their queue, is not served.';
    COMMENT ON COLUMN workrow.unroutable.task IS 'the task''s name';
    COMMENT ON COLUMN workrow.unroutable.queue IS 'the queue''s name';
    COMMENT ON COLUMN workrow.unroutable.jobs IS 'how many';
    COMMENT ON COLUMN workrow.unroutable.oldest_created_at IS 'when the first of them was enqueued';
END
$comment$
