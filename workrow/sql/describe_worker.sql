-- What a worker says of itself when it starts.
INSERT INTO workrow.worker_details (worker_id, name, host, pid, queues, concurrency, version)
VALUES (%(worker_id)s, %(name)s, %(host)s, %(pid)s, CAST(%(queues)s AS text[]), %(concurrency)s, %(version)s)
RETURNING worker_id
