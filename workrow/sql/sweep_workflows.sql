-- Ends of workflows' jobs that nobody told of, and what is left to cancel; where to go on from, 0 after the last.
SELECT workrow.sweep_workflows_v1(CAST(%(after)s AS bigint), CAST(%(max_rows)s AS integer)) AS after
