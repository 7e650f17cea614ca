-- Hold one schedule until the transaction ends.
SELECT
    dynamic, task, cron,
    CAST(extract(EPOCH FROM every) AS double precision) AS every,
    timezone, CAST(args AS text) AS args, queue, priority, missed, catch_up,
    CAST(extract(EPOCH FROM max_late) AS double precision) AS max_late,
    overlap,
    CAST(extract(EPOCH FROM jitter) AS double precision) AS jitter,
    version, CAST(extract(EPOCH FROM clock_timestamp()) AS double precision) AS now
FROM workrow.timetable
WHERE name = CAST(%(schedule)s AS text)
FOR UPDATE
