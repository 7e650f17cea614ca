-- Which of these running jobs were asked to abort.
SELECT id FROM procrastinate_jobs WHERE id = ANY(CAST(%(ids)s AS bigint[])) AND abort_requested
