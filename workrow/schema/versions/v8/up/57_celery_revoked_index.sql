CREATE INDEX celery_revoked_task_idx ON workrow.celery_revoked (task_id)
