DROP TABLE workrow.history, workrow.sleepers, workrow.queue_names
