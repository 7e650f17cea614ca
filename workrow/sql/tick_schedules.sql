-- Enqueue what these schedules have due, and move them on.
SELECT name, state, call, place, job_id, verdict, error, cap
FROM workrow.tick_schedules_v1(CAST(%(ticks)s AS jsonb), CAST(%(brief)s AS integer))
