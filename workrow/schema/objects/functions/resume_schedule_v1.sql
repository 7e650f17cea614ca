-- Enqueue again, from the next due time on; true if it was paused. A worker finds next_due in the past and moves it.
CREATE OR REPLACE FUNCTION workrow.resume_schedule_v1(schedule text) RETURNS boolean
LANGUAGE sql
AS $$
    WITH resumed AS (
        UPDATE workrow.timetable
        SET
            paused_at = NULL,
            paused_by = NULL,
            pause_reason = NULL,
            last_tick = clock_timestamp(),
            next_due = CASE WHEN next_due IS NOT NULL THEN clock_timestamp() END
        WHERE name = schedule AND paused_at IS NOT NULL
        RETURNING name
    ),
    told AS (
        SELECT CASE WHEN {room_to_notify} THEN pg_notify('workrow_schedules', 'schedules') END
        FROM resumed
    )
    SELECT EXISTS (SELECT FROM told)
$$
