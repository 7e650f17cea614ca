ALTER TABLE workrow.history
    ADD COLUMN workflow_id bigint,
    ADD COLUMN workflow_node integer
