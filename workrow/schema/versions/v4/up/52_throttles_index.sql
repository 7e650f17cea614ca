CREATE INDEX throttles_over_at_idx ON workrow.throttles (over_at)
