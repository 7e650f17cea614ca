-- What each workflow was made of, with the arguments that its tasks were given at the start.
SELECT
    flow.id, flow.name, node.number, node.kind, node.fires, coalesce(node.parents, '{}') AS parents,
    coalesce(node.takes, '{}') AS takes, node.spec ->> 'task' AS task,
    coalesce(node.args, live.args, past.args) AS args
FROM workrow.flows AS flow
INNER JOIN workrow.flow_nodes AS node ON node.flow_id = flow.id
LEFT JOIN procrastinate_jobs AS live ON live.id = node.job_id
LEFT JOIN workrow.history AS past ON past.id = node.job_id
WHERE node.number < 10000000
ORDER BY flow.id, node.number
