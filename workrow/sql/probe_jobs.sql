-- Which of these jobs' rows somebody's transaction holds. One look, which waits for none of them.
SELECT id
FROM procrastinate_jobs
WHERE
    id = ANY(CAST(%(ids)s AS bigint[]))
    AND id <> ALL(ARRAY(
        SELECT free.id
        FROM procrastinate_jobs AS free
        WHERE free.id = ANY(CAST(%(ids)s AS bigint[]))
        FOR UPDATE SKIP LOCKED
    ))
