-- The workflow that a claimed job is a node of; of the member of a batch its complement, which is below 0 and overflows for no id.
CASE WHEN job.workflow_node < 0 THEN ~job.workflow_id ELSE job.workflow_id END AS workflow
