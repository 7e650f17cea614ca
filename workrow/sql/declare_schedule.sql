-- Note a schedule the first time a worker sees it; its first tick is the next due time after now.
INSERT INTO workrow.schedules (name, last_tick)
VALUES (CAST(%(schedule)s AS text), clock_timestamp())
ON CONFLICT (name) DO NOTHING
RETURNING name
