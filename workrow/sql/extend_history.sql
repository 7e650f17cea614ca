-- The partitions of the next days.
SELECT 0 AS done FROM workrow.extend_history_v1() AS extended
