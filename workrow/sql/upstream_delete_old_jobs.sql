-- procrastinate's delete_old_jobs, on the history, and on what stock code has finished and no sweep has moved yet.
WITH left_behind AS (
    DELETE FROM procrastinate_jobs
    WHERE
        status NOT IN ('todo', 'doing')
        AND status = ANY(CAST(%(statuses)s AS procrastinate_job_status[]))
        AND (CAST(%(queue)s AS varchar) IS NULL OR queue_name = %(queue)s)
        AND coalesce(finished_at, started_at, created_at) < now() - %(nb_hours)s * INTERVAL '1 hour'
)

DELETE FROM workrow.history
WHERE
    status = ANY(CAST(%(statuses)s AS procrastinate_job_status[]))
    AND (CAST(%(queue)s AS varchar) IS NULL OR queue_name = %(queue)s)
    AND finished_at < now() - %(nb_hours)s * INTERVAL '1 hour'
