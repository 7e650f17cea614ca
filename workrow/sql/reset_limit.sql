-- Forget what was set of a limit at run time.
SELECT workrow.reset_limit_v1(CAST(%(name)s AS text), CAST(%(key)s AS text)) AS was_set
