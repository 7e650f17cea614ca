-- A job whose worker died before is about to start: from here on, a crash is known to be its own.
UPDATE procrastinate_jobs
SET marked = claims
WHERE id = %(id)s AND status = 'doing' AND worker_id = %(worker_id)s AND claims = %(token)s
RETURNING id
