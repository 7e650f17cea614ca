CREATE INDEX job_steps_child_idx ON workrow.job_steps (child_id) WHERE child_id IS NOT NULL AND ended_at IS NULL
