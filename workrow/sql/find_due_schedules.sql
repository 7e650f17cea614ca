-- The due schedules that this worker may tick and nobody holds, as they are now; "seen" is another as soon as somebody has
-- changed one. The locks end with this statement: they are there to skip what others lock.
SELECT
    name, dynamic, task, cron,
    CAST(extract(EPOCH FROM every) AS double precision) AS every,
    timezone, CAST(args AS text) AS args, queue, priority, missed, catch_up,
    CAST(extract(EPOCH FROM max_late) AS double precision) AS max_late,
    overlap,
    CAST(extract(EPOCH FROM jitter) AS double precision) AS jitter,
    version, last_tick, last_job_id, now() AS now,
    CAST(xmin AS text) AS seen
FROM workrow.timetable
WHERE
    paused_at IS NULL
    AND name <> ALL(CAST(%(aside)s AS text[]))
    AND (version IS NULL OR version = 1 OR task || ':' || version = ANY(CAST(%(signatures)s AS text[])))
    AND next_due <= now()
    AND CASE
        WHEN dynamic THEN task = ANY(CAST(%(tasks)s AS text[]))
        ELSE name = ANY(CAST(%(names)s AS text[]))
    END
ORDER BY next_due
LIMIT %(limit)s
FOR NO KEY UPDATE SKIP LOCKED
