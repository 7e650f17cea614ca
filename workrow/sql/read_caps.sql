-- What `workrow status` tells of capped queues.
SELECT queue, max_depth, depth, actor, reason, set_at
FROM workrow.caps
ORDER BY queue
