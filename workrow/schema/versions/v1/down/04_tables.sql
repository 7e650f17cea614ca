DROP TABLE workrow.schedules, workrow.worker_details
