SELECT running
FROM workrow.workers
WHERE id = %(worker_id)s
