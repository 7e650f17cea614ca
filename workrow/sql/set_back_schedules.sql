-- Schedules count from now again, but for those that others have moved meanwhile.
UPDATE workrow.timetable AS known
SET last_tick = given.now, next_due = given.next_due
FROM jsonb_to_recordset(CAST(%(moves)s AS jsonb)) AS given (
    name text, last_tick timestamptz, now timestamptz, next_due timestamptz
)
WHERE known.name = given.name AND known.last_tick = given.last_tick
RETURNING known.name
