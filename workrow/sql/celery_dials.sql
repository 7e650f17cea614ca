-- What the bridge from Celery was told, and how old that may become is its reader's affair.
SELECT task, percent, sticky_by, shadow, bridge_is_on, changed_at FROM workrow.celery_dials ORDER BY task
