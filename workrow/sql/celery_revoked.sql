-- Calls that are not to start.
SELECT task_id, header, value
FROM workrow.celery_revoked
