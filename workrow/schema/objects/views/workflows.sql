CREATE OR REPLACE VIEW workrow.workflows AS
SELECT
    flow.id,
    flow.name,
    CASE WHEN flow.paused AND flow.state = 'running' THEN 'paused' ELSE flow.state END AS state,
    coalesce(nodes.size, 0) AS size,
    coalesce(nodes.done, 0) AS done,
    coalesce(nodes.failed, 0) AS failed,
    CASE WHEN nodes.size > 0 THEN CAST(nodes.done AS double precision) / nodes.size ELSE 1 END AS progress,
    flow.on_failure,
    flow.created_at,
    least(first_job.started_at, nodes.first_end) AS started_at,
    flow.ended_at,
    CASE
        WHEN flow.ended_at IS NULL AND NOT flow.paused AND nodes.done > 0 AND flow.state = 'running'
            THEN
                coalesce(least(first_job.started_at, nodes.first_end), flow.created_at)
                + (clock_timestamp() - coalesce(least(first_job.started_at, nodes.first_end), flow.created_at))
                * (CAST(nodes.size AS double precision) / nodes.done)
    END AS expected_end,
    failed_node.error ->> 'type' AS error_type,
    failed_node.error ->> 'message' AS error
FROM workrow.flows AS flow
LEFT JOIN LATERAL (
    SELECT
        CAST(count(*) AS integer) AS size,
        CAST(count(*) FILTER (WHERE node.state IN ('succeeded', 'skipped', 'failed', 'cancelled')) AS integer) AS done,
        CAST(count(*) FILTER (WHERE node.state = 'failed' OR node.state = 'cancelled' AND node.error ->> 'type' <> 'workrow.WorkflowBroken') AS integer) AS failed,
        min(node.ended_at) AS first_end
    FROM workrow.flow_nodes AS node
    WHERE node.flow_id = flow.id AND node.kind = 'task' AND node.fires IS NULL
) AS nodes ON true
LEFT JOIN LATERAL (
    SELECT job.started_at
    FROM (
        SELECT node.job_id
        FROM workrow.flow_nodes AS node
        WHERE node.flow_id = flow.id AND node.job_id IS NOT NULL
        ORDER BY node.number
        LIMIT 1
    ) AS first_node
    CROSS JOIN LATERAL (
        SELECT live.started_at FROM procrastinate_jobs AS live WHERE live.id = first_node.job_id
        UNION ALL
        SELECT past.started_at FROM workrow.history AS past WHERE past.id = first_node.job_id
    ) AS job
    LIMIT 1
) AS first_job ON true
LEFT JOIN workrow.flow_nodes AS failed_node ON failed_node.flow_id = flow.id AND failed_node.number = flow.failed_node
