-- Register a worker, with its details.
WITH registered AS (
    INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id
)

INSERT INTO workrow.worker_details (worker_id, name, host, pid, queues, concurrency, version, lease, tasks)
SELECT
    registered.id,
    CAST(%(name)s AS text),
    CAST(%(host)s AS text),
    CAST(%(pid)s AS integer),
    CAST(%(queues)s AS text[]),
    CAST(%(concurrency)s AS integer),
    CAST(%(version)s AS text),
    CAST(%(lease)s AS double precision) * INTERVAL '1 second',
    CAST(%(tasks)s AS text[])
FROM registered
RETURNING worker_id
