CREATE INDEX lines_wake_idx ON workrow.lines (wake_at) WHERE wake_at IS NOT NULL
