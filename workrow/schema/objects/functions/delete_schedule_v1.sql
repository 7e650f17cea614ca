-- Delete a dynamic schedule, or a declared one that the code has no longer; true if that was done. Its jobs stay.
-- A worker declares its schedules after it has registered, and again every minute: what none of those that are alive has
-- declared since is gone.
CREATE OR REPLACE FUNCTION workrow.delete_schedule_v1(schedule text) RETURNS boolean
LANGUAGE sql
AS $$
    WITH deleted AS (
        DELETE FROM workrow.timetable AS known
        WHERE
            name = schedule
            AND (
                dynamic
                OR declared_at IS NULL
                OR declared_at < now() - INTERVAL '5 minutes'
                OR (
                    declared_at < now() - INTERVAL '90 seconds'
                    AND NOT EXISTS (
                        SELECT 1
                        FROM workrow.worker_details AS worker
                        WHERE worker.started_at <= known.declared_at
                    )
                )
            )
        RETURNING name
    )
    SELECT EXISTS (SELECT FROM deleted)
$$
