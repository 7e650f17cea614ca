CREATE INDEX history_failures_idx ON workrow.history (finished_at) WHERE status <> 'succeeded'
