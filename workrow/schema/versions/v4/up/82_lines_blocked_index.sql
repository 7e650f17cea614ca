CREATE INDEX lines_blocked_idx ON workrow.lines (blocked_on, priority DESC, turn) WHERE blocked_on IS NOT NULL
