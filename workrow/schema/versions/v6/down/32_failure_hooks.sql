DROP TABLE workrow.failure_hooks
