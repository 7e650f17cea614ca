-- Calls that were revoked while they waited, for this worker to send task_revoked of.
DELETE FROM workrow.celery_untold
WHERE job_id = ANY(ARRAY(
    SELECT untold.job_id
    FROM workrow.celery_untold AS untold
    WHERE
        untold.task_name = ANY(CAST(%(tasks)s AS text[]))
        AND untold.queue_name = ANY(CAST(%(queues)s AS text[]))
    ORDER BY untold.job_id
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
))
RETURNING task_name, queue_name, args
