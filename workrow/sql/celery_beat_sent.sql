-- An entry was sent, in the transaction of its call: when, and when it is next.
UPDATE workrow.celery_beat
SET
    last_run_at = %(now)s,
    total_run_count = total_run_count + 1,
    next_run_at = %(next)s,
    last_error = %(error)s
WHERE app = %(app)s AND name = %(name)s AND version = %(version)s AND last_run_at = %(seen)s
RETURNING name
