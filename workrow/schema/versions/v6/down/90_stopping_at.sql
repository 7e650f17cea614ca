ALTER TABLE workrow.worker_details DROP COLUMN stopping_at
