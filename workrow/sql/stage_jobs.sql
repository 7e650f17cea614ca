-- Make due jobs ready, the longest due first.
UPDATE procrastinate_jobs
SET staged_at = scheduled_at
WHERE id = ANY(ARRAY(
    SELECT id
    FROM procrastinate_jobs
    WHERE
        status = 'todo'
        AND scheduled_at IS NOT NULL
        AND staged_at IS DISTINCT FROM scheduled_at
        AND scheduled_at <= now()
    ORDER BY scheduled_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
RETURNING id
