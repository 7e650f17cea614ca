CREATE INDEX celery_results_expires_idx ON workrow.celery_results (expires_at)
