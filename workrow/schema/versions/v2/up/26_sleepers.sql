-- Workers that wait for a notification. Unlogged: after a crash everybody is awake.
CREATE UNLOGGED TABLE workrow.sleepers (
    worker_id bigint PRIMARY KEY,
    queues text[]
)
