-- What is known of a call of a Celery task.
SELECT state, value, traceback, children, details, noted_at
FROM workrow.celery_results
WHERE task_id = %(id)s AND (expires_at IS NULL OR expires_at > clock_timestamp())
