ALTER TABLE workrow.history DROP COLUMN workflow_id, DROP COLUMN workflow_node
