-- The lock after this one that has ready jobs; nothing if it was the last.
SELECT lock
FROM procrastinate_jobs
WHERE {ready} AND lock IS NOT NULL AND lock > CAST(%(after)s AS text)
ORDER BY lock
LIMIT 1
