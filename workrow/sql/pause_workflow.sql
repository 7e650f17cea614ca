-- Hold a workflow.
SELECT workrow.pause_workflow_v1(CAST(%(id)s AS bigint)) AS verdict
