-- How many seconds until the next due time of the schedules that this worker may tick.
SELECT CAST(extract(EPOCH FROM next_due - clock_timestamp()) AS double precision) AS wait
FROM workrow.timetable
WHERE
    paused_at IS NULL
    AND name <> ALL(CAST(%(aside)s AS text[]))
    AND (version IS NULL OR version = 1 OR task || ':' || version = ANY(CAST(%(signatures)s AS text[])))
    AND CASE
        WHEN dynamic THEN task = ANY(CAST(%(tasks)s AS text[]))
        ELSE name = ANY(CAST(%(names)s AS text[]))
    END
ORDER BY next_due
LIMIT 1
