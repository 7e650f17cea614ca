-- The code still declares these; at most one worker in half a minute writes it down. Returns those that are there.
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

SELECT name
FROM workrow.timetable
WHERE name = ANY(CAST(%(names)s AS text[]))
