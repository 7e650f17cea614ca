-- Forget limits' keys that are out of use.
SELECT workrow.prune_limits_v1(CAST(%(max_rows)s AS integer)) AS done
