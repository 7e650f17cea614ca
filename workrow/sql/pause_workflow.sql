-- Hold a workflow; no row, if there is none.
SELECT workrow.pause_workflow_v1(flow.id) AS verdict
FROM workrow.flows AS flow
WHERE flow.id = CAST(%(id)s AS bigint)
