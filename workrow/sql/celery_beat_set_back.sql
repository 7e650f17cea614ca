-- The clock was set back: an entry that would wait for the time that it once was counts from now.
UPDATE workrow.celery_beat
SET last_run_at = %(now)s
WHERE
    (app, name) IN (
        SELECT app, name
        FROM workrow.celery_beat
        WHERE app = %(app)s AND name = %(name)s AND last_run_at <> %(now)s
        FOR UPDATE SKIP LOCKED
    )
RETURNING name
