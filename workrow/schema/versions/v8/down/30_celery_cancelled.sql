DROP TRIGGER workrow_celery_cancelled ON workrow.history
