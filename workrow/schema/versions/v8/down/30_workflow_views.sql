DROP VIEW workrow.workflow_nodes, workrow.workflows
