DO $comment$
BEGIN
    COMMENT ON VIEW workrow.limits IS 'What limits allow, and how much of it is in use: one row for each limit, and for each of its keys that has something of its own.';
    COMMENT ON COLUMN workrow.limits.name IS 'the limit''s name; one by a key is named task/argument';
    COMMENT ON COLUMN workrow.limits.key IS 'the key; NULL: all of them';
    COMMENT ON COLUMN workrow.limits.max_running IS 'so many run at the same time; NULL: any number';
    COMMENT ON COLUMN workrow.limits.rate_count IS 'so many start in each period; NULL: any number';
    COMMENT ON COLUMN workrow.limits.rate_seconds IS 'the period';
    COMMENT ON COLUMN workrow.limits.rate_burst IS 'so many may start at once after a quiet time';
    COMMENT ON COLUMN workrow.limits.weight IS 'its share of the turns among keys';
    COMMENT ON COLUMN workrow.limits.paused IS 'nothing of it starts';
    COMMENT ON COLUMN workrow.limits.running IS 'jobs that hold a slot now';
    COMMENT ON COLUMN workrow.limits.blocked_lines IS 'groups of jobs that wait for it';
    COMMENT ON COLUMN workrow.limits.actor IS 'who changed it at run time';
    COMMENT ON COLUMN workrow.limits.reason IS 'and why';
    COMMENT ON COLUMN workrow.limits.changed_at IS 'and when';
END
$comment$
