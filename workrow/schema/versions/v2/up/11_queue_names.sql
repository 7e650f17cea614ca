-- Every queue that a worker has served, so that a drained one is still shown.
CREATE TABLE workrow.queue_names (
    name text PRIMARY KEY
)
