-- Set a dial of the bridge from Celery.
SELECT CAST(workrow.celery_dial_v1(
    CAST(%(task)s AS text), CAST(%(percent)s AS double precision), CAST(%(sticky_by)s AS text),
    CAST(%(shadow)s AS double precision)
) AS text) AS done
