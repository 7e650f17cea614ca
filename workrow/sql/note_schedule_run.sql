-- A job was enqueued out of turn: overlap counts it.
UPDATE workrow.timetable
SET last_job_id = CAST(%(job_id)s AS bigint)
WHERE name = CAST(%(schedule)s AS text)
RETURNING name
