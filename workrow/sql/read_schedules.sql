-- All schedules, or the one of a name.
SELECT
    name, task, source, cron,
    CAST(extract(EPOCH FROM every) AS double precision) AS every,
    timezone, args, queue, priority, missed, catch_up,
    CAST(extract(EPOCH FROM max_late) AS double precision) AS max_late,
    overlap,
    CAST(extract(EPOCH FROM jitter) AS double precision) AS jitter,
    next_due_at, last_due_at, last_job_id, last_tick, skipped, last_skipped_at, skip_reason, paused_at, paused_by,
    pause_reason, orphaned, created_at
FROM workrow.schedules
WHERE CAST(%(schedule)s AS text) IS NULL OR name = CAST(%(schedule)s AS text)
ORDER BY name
