-- procrastinate's delete_old_jobs, on the history.
DELETE FROM workrow.history
WHERE
    status = ANY(CAST(%(statuses)s AS procrastinate_job_status[]))
    AND (CAST(%(queue)s AS varchar) IS NULL OR queue_name = %(queue)s)
    AND finished_at < now() - %(nb_hours)s * INTERVAL '1 hour'
