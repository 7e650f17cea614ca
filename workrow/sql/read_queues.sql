-- What `workrow status` tells of the queues.
SELECT queue, depth, ready, scheduled, running, oldest_ready_at, oldest_ready_seconds
FROM workrow.queues
ORDER BY queue
