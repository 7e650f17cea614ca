-- These entries are still declared, and due next at these times; of several who run beat one in half a minute writes it down.
UPDATE workrow.celery_beat AS known
SET declared_at = clock_timestamp(), next_run_at = given.next
FROM jsonb_to_recordset(CAST(%(entries)s AS jsonb)) AS given (name text, version text, next timestamptz)
WHERE
    known.app = %(app)s AND known.name = given.name AND known.version = given.version
    AND (known.app, known.name) IN (
        SELECT app, name
        FROM workrow.celery_beat
        WHERE
            app = %(app)s
            AND (
                next_run_at IS NULL
                OR declared_at NOT BETWEEN clock_timestamp() - INTERVAL '30 seconds' AND clock_timestamp()
            )
        ORDER BY name
        FOR UPDATE SKIP LOCKED
    )
RETURNING known.name
