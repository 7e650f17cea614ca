CREATE INDEX history_id_idx ON workrow.history (id)
