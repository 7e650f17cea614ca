-- Let a workflow that has failed go on.
SELECT workrow.retry_workflow_v1(CAST(%(id)s AS bigint)) AS verdict
