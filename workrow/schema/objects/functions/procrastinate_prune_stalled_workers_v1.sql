-- procrastinate's, but for our workers: a stock worker calls it when it starts, and a step of the server's clock would have
-- it delete the living with the dead. Ours are watched (see workrow.rescue_jobs_v2).
CREATE OR REPLACE FUNCTION procrastinate_prune_stalled_workers_v1(seconds_since_heartbeat double precision)
RETURNS TABLE (worker_id bigint)
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN QUERY
    DELETE FROM procrastinate_workers AS silent
    WHERE
        silent.last_heartbeat < now() - seconds_since_heartbeat * INTERVAL '1 second'
        AND NOT EXISTS (SELECT FROM workrow.worker_details AS details WHERE details.worker_id = silent.id)
    RETURNING silent.id;
END;
$$
