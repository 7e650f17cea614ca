-- Change a dynamic schedule. One that is due at other times than before counts from now.
WITH updated AS (
    UPDATE workrow.timetable
    SET
        cron = CAST(%(cron)s AS text),
        every = CAST(%(every)s AS interval),
        timezone = CAST(%(timezone)s AS text),
        args = CAST(%(args)s AS jsonb),
        queue = CAST(%(queue)s AS text),
        priority = CAST(%(priority)s AS integer),
        missed = CAST(%(missed)s AS text),
        catch_up = CAST(%(catch_up)s AS integer),
        max_late = CAST(%(max_late)s AS interval),
        overlap = CAST(%(overlap)s AS text),
        jitter = CAST(%(jitter)s AS interval),
        version = CAST(%(version)s AS smallint),
        last_tick = CASE WHEN CAST(%(retimed)s AS boolean) THEN CAST(%(now)s AS timestamptz) ELSE last_tick END,
        next_due = CASE WHEN CAST(%(retimed)s AS boolean) THEN CAST(%(next_due)s AS timestamptz) ELSE next_due END
    WHERE name = CAST(%(schedule)s AS text) AND dynamic
    RETURNING name
)

SELECT
    name,
    CASE WHEN {room_to_notify} THEN pg_notify('workrow_schedules', 'schedules') END AS told
FROM updated
