-- The workflow that a claimed job is a node of; of the member of a batch below 0.
CASE WHEN job.workflow_node < 0 THEN -job.workflow_id ELSE job.workflow_id END AS workflow
