-- End waiting jobs whose time is over.
SELECT workrow.sweep_expired_v1(%(max_rows)s) AS done
