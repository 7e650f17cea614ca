-- Every queue of which a worker has served a job, so that a drained one is still shown.
CREATE TABLE workrow.queue_names (
    name text PRIMARY KEY
)
