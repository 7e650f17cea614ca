-- Whether a job is still claimed as it was, by this worker and by this very claim; and whether this role sees only what a
-- row level security policy lets it see.
SELECT
    EXISTS (
        SELECT
        FROM procrastinate_jobs
        WHERE id = %(id)s AND status = 'doing' AND worker_id = %(worker_id)s AND claims = %(token)s
    ),
    row_security_active('procrastinate_jobs')
