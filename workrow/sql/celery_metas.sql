-- What is known of many calls of Celery tasks.
SELECT task_id, state, value, traceback, children, details, noted_at
FROM workrow.celery_results
WHERE task_id = ANY(%(ids)s) AND (expires_at IS NULL OR expires_at > clock_timestamp())
