-- Cancel jobs of a workflow that wait, so many at most; the caller holds the workflow. What somebody holds is left for the
-- next sweep. Nodes first: their ends are told of nobody then. All at once: 10,000 in 0.7 s, and 33 s by one end after the other.
CREATE OR REPLACE FUNCTION workrow.cancel_node_jobs_v1(in_flow bigint, max_rows integer) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    waiting bigint[];
BEGIN
    WITH held AS MATERIALIZED (
        SELECT job.id, node.number
        FROM workrow.flow_nodes AS node
        INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
        WHERE node.flow_id = in_flow AND node.state = 'enqueued' AND node.fires IS NULL AND job.status = 'todo'
        ORDER BY node.number
        LIMIT max_rows
        FOR UPDATE OF job SKIP LOCKED
    ),
    cancelled AS (
        UPDATE workrow.flow_nodes AS node
        SET state = 'cancelled', ended_at = clock_timestamp()
        FROM held
        WHERE node.flow_id = in_flow AND node.number = held.number
        RETURNING held.id
    )
    SELECT array_agg(cancelled.id) INTO waiting FROM cancelled;
    RETURN CASE WHEN waiting IS NULL THEN 0 ELSE workrow.move_finished_v1(waiting, 'cancelled') END;
END;
$$
