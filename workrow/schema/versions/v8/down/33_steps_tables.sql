DROP TABLE workrow.job_steps, workrow.job_signals
