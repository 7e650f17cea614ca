CREATE INDEX celery_parts_group_idx ON workrow.celery_parts (group_id)
