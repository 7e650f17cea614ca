-- Those of these calls of Celery tasks that have not ended.
SELECT given.id
FROM unnest(CAST(%(ids)s AS text[])) AS given (id)
WHERE NOT EXISTS (
    SELECT FROM workrow.celery_results AS known
    WHERE known.task_id = given.id AND known.state IN ('SUCCESS', 'FAILURE', 'REVOKED')
)
