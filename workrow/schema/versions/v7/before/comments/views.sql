DO $comment$
BEGIN
    COMMENT ON VIEW workrow.pauses IS 'What is paused, and what was in the last 90 days.';
    COMMENT ON COLUMN workrow.pauses.kind IS 'queue or task';
    COMMENT ON COLUMN workrow.pauses.name IS 'which one';
    COMMENT ON COLUMN workrow.pauses.actor IS 'who paused it';
    COMMENT ON COLUMN workrow.pauses.reason IS 'why';
    COMMENT ON COLUMN workrow.pauses.paused_at IS 'since when';
    COMMENT ON COLUMN workrow.pauses.resumed_at IS 'until when; NULL: it is paused';
    COMMENT ON COLUMN workrow.pauses.resumed_by IS 'who resumed it';
    COMMENT ON COLUMN workrow.pauses.resume_reason IS 'why it was resumed';
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
