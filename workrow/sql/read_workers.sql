-- What `workrow status` tells of the workers.
SELECT
    id,
    name,
    host,
    pid,
    queues,
    concurrency,
    version,
    started_at,
    last_heartbeat,
    heartbeat_age_seconds,
    alive,
    running,
    lease_seconds,
    tasks,
    refused,
    stopping_at
FROM workrow.workers
ORDER BY id
