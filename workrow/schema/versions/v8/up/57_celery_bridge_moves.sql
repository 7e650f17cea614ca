-- What came over the bridge from Celery, each once: a call by the key that its producer drew, a message by its own.
CREATE TABLE workrow.celery_bridge_moves (
    key text COLLATE "C" PRIMARY KEY,
    task text NOT NULL,
    -- "dial", "drain", or "old": nobody knew whether it came, so it was written off here and sent to the old broker
    came text NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
