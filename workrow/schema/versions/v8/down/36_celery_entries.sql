DROP TABLE workrow.celery_entries
