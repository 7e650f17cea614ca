-- Note what the code declares. What is new, or due at other times than before, counts from now: what was due earlier is not
-- made up for. next_due in the past makes a worker look at the row, and move it. A dynamic schedule keeps its name.
INSERT INTO workrow.timetable AS known (
    name, last_tick, task, cron, every, timezone, args, queue, priority, missed, catch_up, max_late, overlap, jitter,
    version, next_due, created_at, declared_at
)
SELECT
    given.name,
    clock_timestamp(),
    given.task,
    given.cron,
    given.every,
    given.timezone,
    given.args,
    given.queue,
    given.priority,
    given.missed,
    given.catch_up,
    given.max_late,
    given.overlap,
    given.jitter,
    given.version,
    clock_timestamp(),
    clock_timestamp(),
    clock_timestamp()
FROM jsonb_to_recordset(CAST(%(schedules)s AS jsonb)) AS given (
    name text, task text, cron text, every interval, timezone text, args jsonb, queue text, priority integer, missed text,
    catch_up integer, max_late interval, overlap text, jitter interval, version smallint
)
ORDER BY given.name
ON CONFLICT (name) DO UPDATE SET
    last_tick = CASE
        WHEN
            known.next_due IS NULL AND known.task IS NULL
            OR (known.cron, known.every, known.timezone)
            IS NOT DISTINCT FROM (excluded.cron, excluded.every, excluded.timezone)
            THEN known.last_tick
        ELSE clock_timestamp()
    END,
    next_due = CASE
        WHEN
            known.next_due IS NOT NULL
            AND (known.cron, known.every, known.timezone)
            IS NOT DISTINCT FROM (excluded.cron, excluded.every, excluded.timezone)
            THEN known.next_due
        ELSE clock_timestamp()
    END,
    task = excluded.task,
    cron = excluded.cron,
    every = excluded.every,
    timezone = excluded.timezone,
    args = excluded.args,
    queue = excluded.queue,
    priority = excluded.priority,
    missed = excluded.missed,
    catch_up = excluded.catch_up,
    max_late = excluded.max_late,
    overlap = excluded.overlap,
    jitter = excluded.jitter,
    version = excluded.version,
    declared_at = clock_timestamp()
WHERE NOT known.dynamic
RETURNING name
