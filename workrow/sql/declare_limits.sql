-- Write down what the code says of limits.
SELECT given.name, workrow.declare_limit_v1(given.name, given.running, given.count, given.seconds, given.burst) AS is_news
FROM unnest(
    CAST(%(names)s AS text[]),
    CAST(%(max_running)s AS integer[]),
    CAST(%(rate_count)s AS integer[]),
    CAST(%(rate_seconds)s AS double precision[]),
    CAST(%(rate_burst)s AS integer[])
) AS given (name, running, count, seconds, burst)
ORDER BY given.name
