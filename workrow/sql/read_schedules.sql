-- All schedules, or the one of a name.
SELECT
    name, task, source, cron,
    CAST(extract(EPOCH FROM every) AS double precision) AS every,
    timezone, args, queue, priority, missed, catch_up,
    CAST(extract(EPOCH FROM max_late) AS double precision) AS max_late,
    overlap,
    CAST(extract(EPOCH FROM jitter) AS double precision) AS jitter,
    CAST(extract(EPOCH FROM next_due_at) AS double precision) AS next_due_at,
    CAST(extract(EPOCH FROM last_due_at) AS double precision) AS last_due_at,
    last_job_id,
    CAST(extract(EPOCH FROM last_tick) AS double precision) AS last_tick,
    skipped,
    CAST(extract(EPOCH FROM last_skipped_at) AS double precision) AS last_skipped_at,
    skip_reason,
    CAST(extract(EPOCH FROM paused_at) AS double precision) AS paused_at,
    paused_by, pause_reason, orphaned,
    CAST(extract(EPOCH FROM created_at) AS double precision) AS created_at
FROM workrow.schedules
WHERE CAST(%(schedule)s AS text) IS NULL OR name = CAST(%(schedule)s AS text)
ORDER BY name
