-- Enqueue the job of one due time of one schedule, unless a worker did so already: the row of the schedule moves
-- forward and the job appears in the same statement, or neither does. A schedule that was never seen before only
-- notes the time: what was due before it was declared is not made up for.
WITH ticked AS (
    UPDATE workrow.schedules AS schedule
    SET last_tick = CAST(%(tick)s AS timestamptz)
    WHERE schedule.name = CAST(%(schedule)s AS text) AND schedule.last_tick < CAST(%(tick)s AS timestamptz)
    RETURNING schedule.name
)
INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args)
SELECT
    CAST(%(queue)s AS text),
    CAST(%(task)s AS text),
    CAST(%(priority)s AS integer),
    CAST(%(lock)s AS text),
    CAST(%(queueing_lock)s AS text),
    CAST(%(args)s AS jsonb)
FROM ticked
ON CONFLICT (queueing_lock) WHERE status = 'todo' AND queueing_lock IS NOT NULL DO NOTHING
RETURNING id
