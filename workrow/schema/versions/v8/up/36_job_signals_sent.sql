CREATE INDEX job_signals_sent_idx ON workrow.job_signals (sent_at)
