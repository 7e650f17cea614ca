DROP VIEW workrow.celery_schedules
