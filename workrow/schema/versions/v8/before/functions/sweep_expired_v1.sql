-- End waiting jobs whose time is over, the longest over first, and forget idle throttles; returns how many jobs.
CREATE OR REPLACE FUNCTION workrow.sweep_expired_v1(max_rows integer DEFAULT 1000) RETURNS integer
LANGUAGE sql
AS $$
    WITH forgotten AS (
        DELETE FROM workrow.throttles
        WHERE key = ANY(ARRAY(
            SELECT idle.key
            FROM workrow.throttles AS idle
            WHERE idle.over_at < now()
            ORDER BY idle.over_at
            LIMIT max_rows
            FOR UPDATE SKIP LOCKED
        ))
    )
    SELECT CAST(count(
        workrow.end_job_v2(
            stale.id, ARRAY['todo']::procrastinate_job_status[], 'cancelled',
            workrow.expiry_v1(stale.expires_at, stale.attempts), NULL
        )
    ) AS integer)
    FROM (
        SELECT job.id, job.expires_at, job.attempts
        FROM procrastinate_jobs AS job
        WHERE job.status = 'todo' AND job.expires_at IS NOT NULL AND job.expires_at <= now()
        ORDER BY job.expires_at
        LIMIT max_rows
        FOR UPDATE SKIP LOCKED
    ) AS stale
$$
