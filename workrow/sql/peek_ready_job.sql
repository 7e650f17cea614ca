-- The job that claim_jobs would take next.
SELECT id
FROM procrastinate_jobs
WHERE
    {ready}
    AND lock IS NULL
    AND task_name = ANY(CAST(%(tasks)s AS text[]))
    AND (version IS NULL OR version = 1 OR task_name || ':' || version = ANY(CAST(%(signatures)s AS text[])))
    AND queue_name = %(queue)s
    AND priority = %(priority)s
    AND id + 0 > %(after)s
ORDER BY id + 0
LIMIT 1
