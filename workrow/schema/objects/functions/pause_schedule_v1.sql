-- Stop enqueueing; true if there is such a schedule. Pausing a paused one keeps since when, and takes the new actor and reason.
CREATE OR REPLACE FUNCTION workrow.pause_schedule_v1(schedule text, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE sql
AS $$
    WITH paused AS (
        UPDATE workrow.timetable
        SET paused_at = coalesce(paused_at, clock_timestamp()), paused_by = actor, pause_reason = reason
        WHERE name = schedule
        RETURNING name
    )
    SELECT EXISTS (SELECT FROM paused)
$$
