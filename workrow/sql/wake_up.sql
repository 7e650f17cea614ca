-- The worker is busy: no need to notify it. Also forgets sleepers whose worker is gone.
DELETE FROM workrow.sleepers
WHERE worker_id = %(worker_id)s OR worker_id NOT IN (SELECT id FROM procrastinate_workers)
RETURNING worker_id
