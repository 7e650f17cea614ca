-- Delete the steps of jobs whose history was dropped.
SELECT workrow.prune_steps_v1(CAST(%(keep)s AS interval)) AS done
