-- Drop the partitions that are too old.
SELECT workrow.prune_history_v1(CAST(%(keep)s AS interval)) AS done
