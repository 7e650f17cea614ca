-- What `within` asks: which job of a key was enqueued last, of those that have ended.
CREATE INDEX history_unique_key_idx ON workrow.history (unique_key, created_at) WHERE unique_key IS NOT NULL
