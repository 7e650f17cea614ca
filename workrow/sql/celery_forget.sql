-- Forget results and groups.
SELECT workrow.celery_forget_v1(CAST(%(ids)s AS text[])) AS forgotten
