-- Cancel a workflow.
SELECT workrow.cancel_workflow_v1(CAST(%(id)s AS bigint)) AS verdict
