-- Rows come in the order of time: a block range index finds a window of it, and an insert pays next to nothing.
CREATE INDEX history_finished_at_idx ON workrow.history USING brin (finished_at)
