-- Which of these running jobs were asked to abort, and which are to be ended whatever they do.
SELECT id, terminate_requested
FROM procrastinate_jobs
WHERE id = ANY(CAST(%(ids)s AS bigint[])) AND abort_requested
