DROP FUNCTION workrow.held_locks_v1(bigint[])
