-- How far each cron= and every= has come.
CREATE TABLE workrow.schedules (
    name text PRIMARY KEY,
    last_tick timestamptz NOT NULL
)
