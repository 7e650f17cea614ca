DO $comment$
BEGIN
    COMMENT ON VIEW workrow.caps IS 'Queues that take no more than so many jobs.';
    COMMENT ON COLUMN workrow.caps.queue IS 'the queue''s name';
    COMMENT ON COLUMN workrow.caps.max_depth IS 'how many jobs that could run now it holds';
    COMMENT ON COLUMN workrow.caps.declared_depth IS 'what the code says; max_depth is another where it was set at run time';
    COMMENT ON COLUMN workrow.caps.depth IS 'jobs that could run now, counted to one above max_depth';
    COMMENT ON COLUMN workrow.caps.actor IS 'who set it at run time';
    COMMENT ON COLUMN workrow.caps.reason IS 'why';
    COMMENT ON COLUMN workrow.caps.set_at IS 'when';
END
$comment$
