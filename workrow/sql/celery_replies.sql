-- What workers have said to a command.
SELECT worker_id, worker, reply
FROM workrow.celery_replies_v1(CAST(%(command_id)s AS bigint))
