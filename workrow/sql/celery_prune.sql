-- Delete results, groups and revocations that have expired.
SELECT workrow.celery_prune_v1(1000, %(lasts)s * INTERVAL '1 second') AS pruned
