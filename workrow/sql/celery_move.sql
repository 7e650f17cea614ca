-- Calls come over the bridge from Celery, those whose keys are new. Returns these keys.
SELECT workrow.celery_move_v1(CAST(%(moves)s AS jsonb), CAST(%(came)s AS text)) AS keys
