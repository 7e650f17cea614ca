-- A worker has other queues, or another number of slots, than it had.
UPDATE workrow.worker_details
SET
    queues = CAST(%(queues)s AS text[]),
    concurrency = CAST(%(concurrency)s AS integer)
WHERE worker_id = CAST(%(worker_id)s AS bigint)
RETURNING worker_id
