-- The times of an adopted database's jobs, from procrastinate's events. Its trigger on every UPDATE of a scheduled
-- job would log one more "scheduled" event for each, so it rests meanwhile.
DO $backfill$
BEGIN
    ALTER TABLE procrastinate_jobs DISABLE TRIGGER procrastinate_trigger_scheduled_events_v1;

    UPDATE procrastinate_jobs AS job
    SET
        created_at = event.created_at,
        started_at = event.started_at,
        finished_at = CASE
            WHEN job.status IN ('succeeded', 'failed', 'cancelled', 'aborted') THEN event.finished_at
        END
    FROM (
        SELECT
            job_id,
            min(at) FILTER (WHERE type = 'deferred') AS created_at,
            max(at) FILTER (WHERE type = 'started') AS started_at,
            max(at) FILTER (WHERE type IN ('succeeded', 'failed', 'cancelled', 'aborted')) AS finished_at
        FROM procrastinate_events
        GROUP BY job_id
    ) AS event
    WHERE event.job_id = job.id;

    ALTER TABLE procrastinate_jobs ENABLE TRIGGER procrastinate_trigger_scheduled_events_v1;
END
$backfill$
