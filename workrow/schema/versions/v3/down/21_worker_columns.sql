ALTER TABLE workrow.worker_details
    DROP COLUMN lease,
    DROP COLUMN tasks,
    DROP COLUMN refused,
    DROP COLUMN death
