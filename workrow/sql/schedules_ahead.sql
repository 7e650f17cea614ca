-- Schedules that have ticked at times which are still to come: the clock was set back, and by more than they may wait.
SELECT
    name, cron,
    CAST(extract(EPOCH FROM every) AS double precision) AS every,
    timezone, last_tick, clock_timestamp() AS now
FROM workrow.timetable
WHERE paused_at IS NULL AND last_tick > clock_timestamp() + INTERVAL '1 minute' AND next_due > clock_timestamp()
ORDER BY name
