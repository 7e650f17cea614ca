-- Entries that nobody declares any more are forgotten, while the app's beat runs: one that comes back begins anew.
DELETE FROM workrow.celery_beat
WHERE
    (app, name) IN (
        SELECT app, name
        FROM workrow.celery_beat
        WHERE
            app = %(app)s
            AND name <> ALL(CAST(%(names)s AS text[]))
            AND declared_at < clock_timestamp() - INTERVAL '1 hour'
        FOR UPDATE SKIP LOCKED
    )
RETURNING name
