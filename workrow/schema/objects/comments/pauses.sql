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
END
$comment$
