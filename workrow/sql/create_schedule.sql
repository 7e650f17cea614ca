-- A dynamic schedule, which counts from now; nothing if the name is taken. Workers are told when this commits.
WITH created AS (
    INSERT INTO workrow.timetable (
        name, dynamic, last_tick, task, cron, every, timezone, args, queue, priority, missed, catch_up, max_late, overlap,
        jitter, version, next_due, created_at
    )
    VALUES (
        CAST(%(schedule)s AS text),
        true,
        CAST(%(now)s AS timestamptz),
        CAST(%(task)s AS text),
        CAST(%(cron)s AS text),
        CAST(%(every)s AS interval),
        CAST(%(timezone)s AS text),
        CAST(%(args)s AS jsonb),
        CAST(%(queue)s AS text),
        CAST(%(priority)s AS integer),
        CAST(%(missed)s AS text),
        CAST(%(catch_up)s AS integer),
        CAST(%(max_late)s AS interval),
        CAST(%(overlap)s AS text),
        CAST(%(jitter)s AS interval),
        CAST(%(version)s AS smallint),
        CAST(%(next_due)s AS timestamptz),
        clock_timestamp()
    )
    ON CONFLICT (name) DO NOTHING
    RETURNING name
)

SELECT
    name,
    CASE WHEN {room_to_notify} THEN pg_notify('workrow_schedules', 'schedules') END AS told
FROM created
