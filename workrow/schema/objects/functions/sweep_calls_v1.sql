-- End the calls whose child was deleted by hand, or by a stock worker's delete_jobs, before its end was seen, and have their
-- callers woken; returns how many.
CREATE OR REPLACE FUNCTION workrow.sweep_calls_v1() RETURNS integer
LANGUAGE sql
AS $$
    WITH lost AS (
        UPDATE workrow.job_steps AS step
        SET
            ended_at = clock_timestamp(),
            unwoken = true,
            error = jsonb_build_object('status', 'deleted', 'task', step.name, 'attempts', 0)
        WHERE
            step.child_id IS NOT NULL
            AND step.ended_at IS NULL
            AND step.noted_at < clock_timestamp() - INTERVAL '1 minute'
            AND NOT EXISTS (SELECT FROM procrastinate_jobs AS live WHERE live.id = step.child_id)
            AND NOT EXISTS (SELECT FROM workrow.history AS ended WHERE ended.id = step.child_id)
        RETURNING step.job_id
    )
    SELECT CAST(count(*) AS integer) FROM lost
$$
