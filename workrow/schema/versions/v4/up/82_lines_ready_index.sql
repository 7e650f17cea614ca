CREATE INDEX lines_ready_idx ON workrow.lines (priority DESC, turn) WHERE blocked_on IS NULL AND wake_at IS NULL
