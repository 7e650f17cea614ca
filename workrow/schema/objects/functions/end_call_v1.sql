-- A job that was called by another one has ended: its end is written down for the caller, who is woken, in the transaction of
-- that end. Whoever holds the caller's row is not waited for.
CREATE OR REPLACE FUNCTION workrow.end_call_v1() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    call workrow.job_steps;
    why CONSTANT jsonb := NEW.errors -> -1;
BEGIN
    UPDATE workrow.job_steps
    SET
        ended_at = clock_timestamp(),
        result = NEW.result,
        error = CASE
            WHEN NEW.status <> 'succeeded' OR NEW.result IS NULL AND why ->> 'type' = 'workrow.ResultNotKept'
                THEN jsonb_build_object(
                    'status', NEW.status, 'task', NEW.task_name, 'attempts', NEW.attempts,
                    'type', why ->> 'type', 'message', why ->> 'message', 'traceback', why ->> 'traceback'
                )
        END
    WHERE child_id = NEW.id AND ended_at IS NULL
    RETURNING * INTO call;
    IF FOUND AND NOT workrow.wake_job_v1(call.job_id, call.token) THEN
        UPDATE workrow.job_steps SET unwoken = true WHERE job_id = call.job_id AND name = call.name;
    END IF;
    RETURN NULL;
END;
$$
