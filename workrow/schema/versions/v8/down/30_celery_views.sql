DROP VIEW workrow.celery_schedules, workrow.celery_dials, workrow.celery_parity
