-- Let a workflow that is held go on; no row, if there is none.
SELECT workrow.resume_workflow_v1(flow.id) AS verdict
FROM workrow.flows AS flow
WHERE flow.id = CAST(%(id)s AS bigint)
