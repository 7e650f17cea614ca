CREATE OR REPLACE VIEW workrow.workflow_nodes AS
SELECT
    node.flow_id AS workflow_id,
    node.number AS node,
    coalesce(node.name, node.spec ->> 'task') AS name,
    node.kind,
    node.fires,
    node.spec ->> 'task' AS task,
    node.spec ->> 'queue' AS queue,
    CASE
        WHEN node.state IN ('waiting', 'ready') AND flow.ended_at IS NOT NULL THEN 'cancelled'
        WHEN node.state = 'enqueued' AND job.status = 'doing' THEN 'running'
        ELSE node.state
    END AS state,
    node.job_id,
    coalesce(node.parents, '{}') AS parents,
    CASE WHEN node.state = 'waiting' AND flow.ended_at IS NULL THEN coalesce(unfinished.numbers, '{}') END AS waits_for,
    job.attempts,
    job.progress,
    node.error ->> 'type' AS error_type,
    node.error ->> 'message' AS error,
    node.ended_at,
    node.appended_to
FROM workrow.flow_nodes AS node
INNER JOIN workrow.flows AS flow ON flow.id = node.flow_id
LEFT JOIN procrastinate_jobs AS job ON job.id = node.job_id
LEFT JOIN LATERAL (
    SELECT array_agg(parent.number ORDER BY parent.number) AS numbers
    FROM unnest(node.parents) AS given (number)
    INNER JOIN workrow.flow_nodes AS parent ON parent.flow_id = node.flow_id AND parent.number = given.number
    WHERE parent.state NOT IN ('succeeded', 'skipped')
) AS unfinished ON node.state = 'waiting'
WHERE node.kind <> 'stripe'
