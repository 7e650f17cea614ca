-- The code still declares these; at most one worker in half a minute writes it down. Returns those that are there, and
-- whether their lines are for this worker to say: no younger one has their tasks. "worker_id" is the id that it has now,
-- "born" the one that it started with: who has lost a lease is no younger for that.
WITH touched AS (
    UPDATE workrow.timetable
    SET declared_at = clock_timestamp()
    WHERE
        name = ANY(ARRAY(
            SELECT name
            FROM workrow.timetable
            WHERE
                name = ANY(CAST(%(names)s AS text[]))
                AND (declared_at IS NULL OR declared_at NOT BETWEEN now() - INTERVAL '30 seconds' AND now())
                AND NOT dynamic
            ORDER BY name
            FOR UPDATE SKIP LOCKED
        ))
)

SELECT
    known.name,
    CAST(%(born)s AS bigint) IS NOT NULL AND NOT EXISTS (
        SELECT 1
        FROM workrow.worker_details AS other
        WHERE
            other.worker_id > CAST(%(born)s AS bigint)
            AND other.worker_id <> CAST(%(worker_id)s AS bigint)
            AND known.task = ANY(other.tasks)
    ) AS ours
FROM workrow.timetable AS known
WHERE known.name = ANY(CAST(%(names)s AS text[]))
