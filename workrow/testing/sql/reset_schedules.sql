-- The clock was set: schedules count from there, as if they had been declared then. next_due makes a worker look.
UPDATE workrow.timetable
SET last_tick = clock_timestamp(), next_due = clock_timestamp()
