-- Tell workers of Celery apps something, or ask them.
SELECT command_id, workers
FROM workrow.celery_command_v1(
    CAST(%(method)s AS text), CAST(%(arguments)s AS jsonb), CAST(%(destination)s AS text[]), CAST(%(pattern)s AS text),
    CAST(%(matcher)s AS text)
)
