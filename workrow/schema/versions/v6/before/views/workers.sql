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
    worker.last_heartbeat,
    CAST(extract(EPOCH FROM now() - worker.last_heartbeat) AS double precision) AS heartbeat_age_seconds,
    worker.last_heartbeat > now() - coalesce(details.lease, INTERVAL '30 seconds') AS alive,
    (SELECT count(*) FROM procrastinate_jobs AS job WHERE job.worker_id = worker.id AND job.status = 'doing') AS running,
    CAST(extract(EPOCH FROM coalesce(details.lease, INTERVAL '30 seconds')) AS double precision) AS lease_seconds,
    details.tasks,
    details.refused
FROM procrastinate_workers AS worker
LEFT JOIN workrow.worker_details AS details ON details.worker_id = worker.id
