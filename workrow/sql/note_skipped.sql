-- Count the due times of schedules whose jobs were refused.
UPDATE workrow.timetable AS known
SET
    skipped = known.skipped + given.skipped,
    last_skipped = greatest(known.last_skipped, given.last_skipped),
    skip_reason = CASE WHEN known.last_skipped > given.last_skipped THEN known.skip_reason ELSE given.skip_reason END
FROM jsonb_to_recordset(CAST(%(skips)s AS jsonb)) AS given (
    name text, skipped bigint, last_skipped timestamptz, skip_reason text
)
WHERE known.name = given.name
