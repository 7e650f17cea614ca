-- Whether a job is still claimed as it was: by this worker, and by this very claim.
SELECT id
FROM procrastinate_jobs
WHERE id = %(id)s AND status = 'doing' AND worker_id = %(worker_id)s AND claims = %(token)s
