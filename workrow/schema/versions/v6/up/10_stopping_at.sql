-- When a worker said that it stops: who is killed at the end of its grace did not crash because of a job.
ALTER TABLE workrow.worker_details ADD COLUMN stopping_at timestamptz
