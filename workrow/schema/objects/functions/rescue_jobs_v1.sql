-- rescue_jobs_v2 for who looks only once: dead is who has been silent for longer than its lease by the server's clock, which
-- must not have been set meanwhile; what nobody holds is lost 30 s after its start.
CREATE OR REPLACE FUNCTION workrow.rescue_jobs_v1(max_crashes integer DEFAULT 3, max_rows integer DEFAULT 1000)
RETURNS TABLE (job_id bigint, task text, queue text, worker text, verdict text)
LANGUAGE plpgsql
AS $$
DECLARE
    workers bigint[];
    beats double precision[];
    jobs bigint[];
    starts double precision[];
BEGIN
    SELECT array_agg(silent.id), array_agg(extract(EPOCH FROM silent.last_heartbeat)) INTO workers, beats
    FROM procrastinate_workers AS silent
    LEFT JOIN workrow.worker_details AS details ON details.worker_id = silent.id
    WHERE silent.last_heartbeat < clock_timestamp() - coalesce(details.lease, INTERVAL '30 seconds');
    SELECT array_agg(held.id), array_agg(extract(EPOCH FROM held.started_at)) INTO jobs, starts
    FROM procrastinate_jobs AS held
    WHERE
        held.status = 'doing'
        AND held.worker_id IS NULL
        AND held.started_at < clock_timestamp() - INTERVAL '30 seconds';
    RETURN QUERY
    SELECT rescued.*
    FROM workrow.rescue_jobs_v2(
        coalesce(workers, '{}'), coalesce(beats, '{}'), coalesce(jobs, '{}'), coalesce(starts, '{}'), max_crashes, max_rows
    ) AS rescued;
END;
$$
