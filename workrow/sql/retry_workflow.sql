-- Let a workflow that has failed go on; no row, if there is none.
SELECT workrow.retry_workflow_v1(flow.id) AS verdict
FROM workrow.flows AS flow
WHERE flow.id = CAST(%(id)s AS bigint)
