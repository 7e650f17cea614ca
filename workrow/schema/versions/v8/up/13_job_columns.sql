-- The node of a workflow that a job is of, and when it was to start, or to come back, while that is held; 1970: at once.
ALTER TABLE procrastinate_jobs
    ADD COLUMN workflow_id bigint,
    ADD COLUMN workflow_node integer,
    ADD COLUMN held_at timestamptz
