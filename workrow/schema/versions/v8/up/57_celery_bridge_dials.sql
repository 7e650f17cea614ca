-- How many calls of a task the bridge from Celery sends here, of 100; "*" is every task that has no row or NULL.
CREATE TABLE workrow.celery_bridge_dials (
    task text COLLATE "C" PRIMARY KEY,
    percent double precision CHECK (percent BETWEEN 0 AND 100),
    -- an argument of the task: calls in which it is the same go to the same side. NULL: by the id of the call
    sticky_by text,
    -- so many of 100 calls that go to the old broker are run once more here and rolled back
    shadow double precision CHECK (shadow BETWEEN 0 AND 100),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
