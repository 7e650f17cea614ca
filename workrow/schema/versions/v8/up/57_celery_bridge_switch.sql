-- Whether the bridge from Celery heeds its dials; one row at most, and without one it does.
CREATE TABLE workrow.celery_bridge_switch (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    is_on boolean NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
