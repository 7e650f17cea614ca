-- An entry was sent elsewhere since it was brought from there.
UPDATE workrow.celery_entries
SET last_run_at = %(last_run_at)s
WHERE app = %(app)s AND name = %(name)s AND source = %(source)s AND last_run_at IS DISTINCT FROM %(last_run_at)s
RETURNING name
