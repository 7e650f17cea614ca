-- From now on the insert trigger notifies this worker.
INSERT INTO workrow.sleepers (worker_id, queues)
VALUES (%(worker_id)s, CAST(%(queues)s AS text[]))
ON CONFLICT (worker_id) DO NOTHING
RETURNING worker_id
