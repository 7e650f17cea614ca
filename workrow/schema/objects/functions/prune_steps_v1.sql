-- Delete the steps and signals, older than "keep", of jobs that are neither live nor in history; returns how many.
CREATE OR REPLACE FUNCTION workrow.prune_steps_v1(keep interval) RETURNS integer
LANGUAGE sql
AS $$
    WITH gone AS MATERIALIZED (
        SELECT old.job_id
        FROM (
            SELECT job_id FROM workrow.job_steps WHERE noted_at < now() - keep
            UNION
            SELECT job_id FROM workrow.job_signals WHERE sent_at < now() - keep
        ) AS old
        WHERE
            NOT EXISTS (SELECT FROM procrastinate_jobs AS live WHERE live.id = old.job_id)
            AND NOT EXISTS (SELECT FROM workrow.history AS ended WHERE ended.id = old.job_id)
    ),
    signals AS (
        DELETE FROM workrow.job_signals WHERE job_id IN (SELECT gone.job_id FROM gone) RETURNING id
    ),
    steps AS (
        DELETE FROM workrow.job_steps WHERE job_id IN (SELECT gone.job_id FROM gone) RETURNING job_id
    )
    SELECT CAST((SELECT count(*) FROM signals) + (SELECT count(*) FROM steps) AS integer)
$$
