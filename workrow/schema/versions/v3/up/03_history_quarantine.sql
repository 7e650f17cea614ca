CREATE INDEX history_quarantine_idx ON workrow.history (finished_at) WHERE quarantine IS NOT NULL
