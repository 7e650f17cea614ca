-- How shadow runs compare with Celery's.
SELECT
    task, compared, equal, other_result, other_error, skipped, their_seconds, our_seconds, last_difference
FROM workrow.celery_parity
ORDER BY task
