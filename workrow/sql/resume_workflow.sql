-- Let a workflow that is held go on.
SELECT workrow.resume_workflow_v1(CAST(%(id)s AS bigint)) AS verdict
