-- Which of these jobs wait or run.
SELECT id
FROM procrastinate_jobs
WHERE id = ANY(CAST(%(ids)s AS bigint[])) AND status IN ('todo', 'doing')
