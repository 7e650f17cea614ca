-- Send a job a signal.
SELECT workrow.signal_v1(CAST(%(id)s AS bigint), CAST(%(name)s AS text), CAST(%(value)s AS jsonb)) AS verdict
