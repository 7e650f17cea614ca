-- name and last_tick stay plain columns, so that the view can be written to as version 3's workers do.
CREATE OR REPLACE VIEW workrow.schedules AS
SELECT
    name,
    task,
    CASE WHEN dynamic THEN 'dynamic' ELSE 'declared' END AS source,
    cron,
    every,
    timezone,
    args,
    queue,
    priority,
    missed,
    catch_up,
    max_late,
    overlap,
    jitter,
    CASE WHEN paused_at IS NULL THEN next_due END AS next_due_at,
    last_due AS last_due_at,
    last_job_id,
    last_tick,
    skipped,
    last_skipped AS last_skipped_at,
    skip_reason,
    paused_at,
    paused_by,
    pause_reason,
    coalesce(
        CASE
            WHEN dynamic THEN paused_at IS NULL AND next_due < now() - INTERVAL '5 minutes'
            ELSE declared_at IS NULL OR declared_at < now() - INTERVAL '5 minutes'
        END,
        false
    ) AS orphaned,
    created_at
FROM workrow.timetable
