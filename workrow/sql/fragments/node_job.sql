-- The jobs of nodes of workflows, those of the CTE "ready". A key that is taken inserts nothing.
INSERT INTO procrastinate_jobs (
    id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, line, due_at, version, unique_key, expires_at,
    workflow_id, workflow_node
)
SELECT
    ready.job_id,
    ready.spec ->> 'queue',
    ready.spec ->> 'task',
    coalesce(CAST(ready.spec ->> 'priority' AS integer), 0),
    ready.spec ->> 'lock',
    ready.spec ->> 'queueing_lock',
    ready.args,
    CASE WHEN ready.line IS NULL THEN start.at ELSE {far_future} END,
    ready.line,
    CASE WHEN ready.line IS NOT NULL THEN start.at END,
    CAST(ready.spec ->> 'version' AS smallint),
    ready.spec ->> 'unique_key',
    coalesce(
        CAST(ready.spec ->> 'expires_at' AS timestamptz),
        coalesce(start.at, clock_timestamp()) + CAST(ready.spec ->> 'lifetime' AS double precision) * INTERVAL '1 second'
    ),
    ready.flow_id,
    ready.number
FROM ready
CROSS JOIN LATERAL (
    SELECT coalesce(
        CAST(ready.spec ->> 'at' AS timestamptz),
        clock_timestamp() + CAST(ready.spec ->> 'delay' AS double precision) * INTERVAL '1 second'
    ) AS at
) AS start
ON CONFLICT DO NOTHING
RETURNING id
