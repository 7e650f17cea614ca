-- Delete workflows that ended longer ago than so.
SELECT workrow.prune_workflows_v1(CAST(%(keep)s AS interval), CAST(%(max_rows)s AS integer)) AS done
