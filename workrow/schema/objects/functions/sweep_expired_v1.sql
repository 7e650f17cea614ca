-- End waiting jobs whose time is over, the longest over first, and forget idle throttles; returns how many jobs. One whose end
-- the table refuses (by somebody's trigger, or a constraint) keeps no other.
CREATE OR REPLACE FUNCTION workrow.sweep_expired_v1(max_rows integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    stale record;
    ended integer := 0;
    error jsonb;
    patience CONSTANT text := current_setting('lock_timeout');
BEGIN
    DELETE FROM workrow.throttles
    WHERE key = ANY(ARRAY(
        SELECT idle.key
        FROM workrow.throttles AS idle
        WHERE idle.over_at < now()
        ORDER BY idle.over_at
        LIMIT max_rows
        FOR UPDATE SKIP LOCKED
    ));
    FOR stale IN
        SELECT job.id, job.expires_at, job.attempts, job.workflow_id
        FROM procrastinate_jobs AS job
        WHERE
            job.status = 'todo' AND job.expires_at IS NOT NULL AND job.expires_at <= now()
            AND CASE
                WHEN job.workflow_id IS NULL THEN true
                ELSE EXISTS (
                    SELECT FROM workrow.flows AS flow WHERE flow.id = job.workflow_id FOR NO KEY UPDATE SKIP LOCKED
                )
            END
        ORDER BY job.expires_at
        LIMIT max_rows
        FOR UPDATE SKIP LOCKED
    LOOP
        error := workrow.expiry_v1(stale.expires_at, stale.attempts);
        BEGIN
            PERFORM workrow.end_job_v2(stale.id, ARRAY['todo']::procrastinate_job_status[], 'cancelled', error, NULL);
        EXCEPTION WHEN lock_not_available THEN
            -- somebody's open transaction has the key of what follows; of others like it, each would take as long
            PERFORM set_config('lock_timeout', '2ms', true);
            CONTINUE;
        WHEN OTHERS THEN
            IF workrow.is_passing_v1(SQLSTATE) THEN
                RAISE;
            END IF;
            RAISE WARNING 'job % has expired, and cannot end: %', stale.id, SQLERRM;
            CONTINUE;
        END;
        ended := ended + 1;
    END LOOP;
    PERFORM set_config('lock_timeout', patience, true);
    RETURN ended;
END;
$$
