CREATE OR REPLACE VIEW workrow.workers AS
SELECT
    worker.id,
    details.name,
    details.host,
    details.pid,
    details.queues,
    details.concurrency,
    details.version,
    details.started_at,
    -- -infinity, which clients cannot read: its end was seen
    CASE WHEN isfinite(worker.last_heartbeat) THEN worker.last_heartbeat END AS last_heartbeat,
    CAST(
        extract(EPOCH FROM now() - CASE WHEN isfinite(worker.last_heartbeat) THEN worker.last_heartbeat END)
        AS double precision
    ) AS heartbeat_age_seconds,
    worker.last_heartbeat > now() - coalesce(details.lease, INTERVAL '30 seconds')
    -- one from the future is from before a step of the server's clock
    AND worker.last_heartbeat < now() + coalesce(details.lease, INTERVAL '30 seconds') AS alive,
    (SELECT count(*) FROM procrastinate_jobs AS job WHERE job.worker_id = worker.id AND job.status = 'doing') AS running,
    CAST(extract(EPOCH FROM coalesce(details.lease, INTERVAL '30 seconds')) AS double precision) AS lease_seconds,
    details.tasks,
    details.refused,
    details.stopping_at
FROM procrastinate_workers AS worker
LEFT JOIN workrow.worker_details AS details ON details.worker_id = worker.id
