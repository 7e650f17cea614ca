-- The node of a workflow that a job is of.
ALTER TABLE procrastinate_jobs
    ADD COLUMN workflow_id bigint,
    ADD COLUMN workflow_node integer
