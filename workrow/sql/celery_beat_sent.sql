-- An entry was sent: when, and its call.
WITH sent AS (
    UPDATE workrow.celery_beat
    SET
        last_run_at = %(now)s,
        total_run_count = total_run_count + 1,
        next_run_at = %(next)s,
        last_error = %(error)s
    WHERE app = %(app)s AND name = %(name)s AND version = %(version)s AND last_run_at = %(seen)s
    RETURNING name
)

SELECT CAST(workrow.celery_write_v1(ARRAY[CAST(%(effects)s AS jsonb)]) AS text) AS done
FROM sent
