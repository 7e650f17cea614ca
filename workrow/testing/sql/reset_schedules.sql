-- The clock was set: schedules count from there, as if they had been declared then.
UPDATE workrow.schedules
SET last_tick = clock_timestamp()
