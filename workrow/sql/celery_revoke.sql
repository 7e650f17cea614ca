-- Revoke calls of Celery tasks, by their ids or by a stamp.
SELECT workrow.celery_revoke_v1(
    CAST(%(ids)s AS text[]), CAST(%(header)s AS text), CAST(%(values)s AS jsonb), CAST(%(terminate)s AS boolean),
    CAST(%(exception)s AS jsonb), CAST(%(lasts)s AS double precision)
) AS touched
