DROP TABLE workrow.waiters
