-- Hold one schedule until the transaction ends.
SELECT
    dynamic, task, cron, every, timezone, CAST(args AS text) AS args, queue, priority, missed, catch_up, max_late, overlap,
    jitter, version, clock_timestamp() AS now
FROM workrow.timetable
WHERE name = CAST(%(schedule)s AS text)
FOR UPDATE
