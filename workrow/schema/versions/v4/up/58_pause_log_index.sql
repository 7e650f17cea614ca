CREATE UNIQUE INDEX pause_log_active_idx ON workrow.pause_log (kind, name) WHERE resumed_at IS NULL
