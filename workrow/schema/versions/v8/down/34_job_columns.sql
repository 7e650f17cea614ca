ALTER TABLE procrastinate_jobs DROP COLUMN workflow_id, DROP COLUMN workflow_node, DROP COLUMN held_at
