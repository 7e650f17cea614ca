-- The nodes of a workflow, as they are drawn.
SELECT
    node, name, kind, fires, task, queue, state, job_id, parents, appended_to, attempts, progress, error_type, error, ended_at
FROM workrow.workflow_nodes
WHERE workflow_id = CAST(%(id)s AS bigint)
ORDER BY node
