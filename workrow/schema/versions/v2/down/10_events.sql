-- The events that version 2 did not write, from the times in the rows: procrastinate's delete_old_jobs reads them.
INSERT INTO procrastinate_events (job_id, type, at)
SELECT missed.job_id, CAST(missed.type AS procrastinate_job_event_type), missed.at
FROM (
    SELECT id AS job_id, 'deferred' AS type, created_at AS at
    FROM procrastinate_jobs
    UNION ALL
    SELECT id, 'scheduled', scheduled_at
    FROM procrastinate_jobs
    WHERE status = 'todo' AND scheduled_at IS NOT NULL
    UNION ALL
    SELECT id, 'started', started_at
    FROM procrastinate_jobs
    WHERE status <> 'todo'
    UNION ALL
    SELECT id, CAST(status AS text), finished_at
    FROM procrastinate_jobs
    WHERE status IN ('succeeded', 'failed', 'cancelled', 'aborted')
) AS missed
WHERE
    missed.at IS NOT NULL
    AND NOT EXISTS (
        SELECT
        FROM procrastinate_events AS event
        WHERE
            event.job_id = missed.job_id
            AND event.type = CAST(missed.type AS procrastinate_job_event_type)
            -- an earlier one is that of an earlier attempt
            AND event.at >= missed.at
    )
ORDER BY missed.at
