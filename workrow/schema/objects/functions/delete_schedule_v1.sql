-- Delete a dynamic schedule, or a declared one that the code has no longer; true if that was done. Its jobs stay.
CREATE OR REPLACE FUNCTION workrow.delete_schedule_v1(schedule text) RETURNS boolean
LANGUAGE sql
AS $$
    WITH deleted AS (
        DELETE FROM workrow.timetable
        WHERE name = schedule AND (dynamic OR declared_at IS NULL OR declared_at < now() - INTERVAL '5 minutes')
        RETURNING name
    )
    SELECT EXISTS (SELECT FROM deleted)
$$
