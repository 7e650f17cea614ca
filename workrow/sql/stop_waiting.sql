-- Nobody in this process waits any more.
DELETE FROM workrow.waiters WHERE listener = CAST(%(listener)s AS uuid) RETURNING listener
