-- How far a workflow has come, and what it has come to; its tasks are counted if that is asked.
SELECT
    flow.name,
    CASE WHEN flow.paused AND flow.state = 'running' THEN 'paused' ELSE flow.state END AS state,
    flow.created_at,
    flow.ended_at,
    coalesce(nodes.size, 0) AS size,
    coalesce(nodes.done, 0) AS done,
    coalesce(nodes.failed, 0) AS failed,
    root.result,
    failed_node.error,
    failed_node.job_id,
    failed_node.spec ->> 'task' AS task
FROM workrow.flows AS flow
INNER JOIN workrow.flow_nodes AS root ON root.flow_id = flow.id AND root.number = flow.root
LEFT JOIN workrow.flow_nodes AS failed_node ON failed_node.flow_id = flow.id AND failed_node.number = flow.failed_node
LEFT JOIN LATERAL (
    SELECT
        count(*) AS size,
        count(*) FILTER (WHERE node.state IN ('succeeded', 'skipped', 'failed', 'cancelled')) AS done,
        count(*) FILTER (WHERE node.state = 'failed' OR node.state = 'cancelled' AND node.error ->> 'type' <> 'workrow.WorkflowBroken') AS failed
    FROM workrow.flow_nodes AS node
    WHERE CAST(%(counted)s AS boolean) AND node.flow_id = flow.id AND node.kind = 'task' AND node.fires IS NULL
) AS nodes ON true
WHERE flow.id = CAST(%(id)s AS bigint)
