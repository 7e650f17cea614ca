DROP TABLE workrow.pause_log, workrow.queue_caps, workrow.throttles
