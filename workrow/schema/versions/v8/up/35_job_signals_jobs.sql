CREATE INDEX job_signals_job_idx ON workrow.job_signals (job_id, name, id)
