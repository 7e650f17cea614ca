SELECT id
FROM workrow.jobs
WHERE worker_id = %(worker_id)s AND status = 'doing'
