-- Turn the bridge from Celery on or off.
SELECT CAST(workrow.celery_switch_v1(CAST(%(is_on)s AS boolean)) AS text) AS done
