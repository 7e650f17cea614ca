-- Write down what was enqueued and skipped of schedules that this transaction holds.
UPDATE workrow.timetable AS known
SET
    last_tick = greatest(known.last_tick, given.last_tick),
    next_due = given.next_due,
    last_due = coalesce(given.last_due, known.last_due),
    last_job_id = coalesce(given.last_job_id, known.last_job_id),
    skipped = known.skipped + given.skipped,
    last_skipped = coalesce(given.last_skipped, known.last_skipped),
    skip_reason = coalesce(given.skip_reason, known.skip_reason)
FROM jsonb_to_recordset(CAST(%(moves)s AS jsonb)) AS given (
    name text, last_tick timestamptz, next_due timestamptz, last_due timestamptz, last_job_id bigint, skipped bigint,
    last_skipped timestamptz, skip_reason text
)
WHERE known.name = given.name
