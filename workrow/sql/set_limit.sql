-- Change a limit at run time.
SELECT name, key
FROM workrow.set_limit_v1(
    CAST(%(name)s AS text),
    CAST(%(key)s AS text),
    CAST(%(max_running)s AS integer),
    CAST(%(rate_count)s AS integer),
    CAST(%(rate_seconds)s AS double precision),
    CAST(%(rate_burst)s AS integer),
    CAST(%(weight)s AS double precision),
    CAST(%(paused)s AS boolean),
    CAST(%(actor)s AS text),
    CAST(%(reason)s AS text)
)
