CREATE INDEX job_steps_unwoken_idx ON workrow.job_steps (job_id) WHERE unwoken
