CREATE INDEX job_steps_noted_idx ON workrow.job_steps (noted_at)
