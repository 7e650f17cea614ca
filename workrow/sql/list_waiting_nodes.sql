-- Tasks of workflows that have not ended, whose turn has not come, as list_waiting_jobs lists jobs: no id, and no time.
SELECT
    0 AS id,
    node.spec ->> 'task' AS task_name,
    node.spec ->> 'queue' AS queue_name,
    coalesce(CAST(node.spec ->> 'priority' AS integer), 0) AS priority,
    node.args,
    CAST(NULL AS double precision) AS at,
    0 AS attempts,
    flow.id AS workflow
FROM workrow.flows AS flow
INNER JOIN workrow.flow_nodes AS node ON node.flow_id = flow.id
WHERE flow.ended_at IS NULL AND node.kind = 'task' AND node.fires IS NULL AND node.state IN ('waiting', 'ready')
ORDER BY flow.id, node.number
