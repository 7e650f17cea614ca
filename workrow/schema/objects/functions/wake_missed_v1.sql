-- Wake the callers whose rows somebody held when their calls ended; returns how many.
CREATE OR REPLACE FUNCTION workrow.wake_missed_v1() RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    woken integer;
BEGIN
    WITH missed AS (
        SELECT step.job_id, step.name, step.token
        FROM workrow.job_steps AS step
        WHERE step.unwoken
        ORDER BY step.job_id
        LIMIT 1000
        FOR UPDATE SKIP LOCKED
    )
    UPDATE workrow.job_steps AS step
    SET unwoken = false
    FROM missed
    WHERE step.job_id = missed.job_id AND step.name = missed.name AND workrow.wake_job_v1(missed.job_id, missed.token);
    GET DIAGNOSTICS woken = ROW_COUNT;
    RETURN woken;
END;
$$
