-- What every holder of jobs shows of itself, in seconds: its lease, and the sign that changes for as long as it lives. Jobs that
-- nobody holds show when they were started, and have half a minute.
SELECT
    'worker' AS kind,
    worker.id,
    CAST(extract(EPOCH FROM worker.last_heartbeat) AS double precision) AS sign,
    CAST(extract(EPOCH FROM coalesce(details.lease, INTERVAL '30 seconds')) AS double precision) AS lease
FROM procrastinate_workers AS worker
LEFT JOIN workrow.worker_details AS details ON details.worker_id = worker.id
UNION ALL
SELECT 'job', held.id, CAST(extract(EPOCH FROM held.started_at) AS double precision), 30
FROM (
    SELECT id, started_at
    FROM procrastinate_jobs
    WHERE status = 'doing' AND worker_id IS NULL AND started_at IS NOT NULL
    ORDER BY started_at
    LIMIT %(max_rows)s
) AS held
