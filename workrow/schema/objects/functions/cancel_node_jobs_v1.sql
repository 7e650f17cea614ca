-- Cancel jobs of a workflow that wait, so many at most; the caller holds the workflow. What somebody holds is left for the
-- next sweep. Nodes first: their ends are told of nobody then.
CREATE OR REPLACE FUNCTION workrow.cancel_node_jobs_v1(in_flow bigint, max_rows integer) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    waiting bigint[];
BEGIN
    SELECT array_agg(held.id) INTO waiting
    FROM (
        SELECT job.id
        FROM workrow.flow_nodes AS node
        INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
        WHERE node.flow_id = in_flow AND node.state = 'enqueued' AND node.fires IS NULL AND job.status = 'todo'
        ORDER BY node.number
        LIMIT max_rows
        FOR UPDATE OF job SKIP LOCKED
    ) AS held;
    IF waiting IS NULL THEN
        RETURN 0;
    END IF;
    UPDATE workrow.flow_nodes
    SET state = 'cancelled', ended_at = clock_timestamp()
    WHERE flow_id = in_flow AND state = 'enqueued' AND job_id = ANY(waiting);
    PERFORM workrow.end_job_v1(each.id, ARRAY['todo']::procrastinate_job_status[], 'cancelled')
    FROM unnest(waiting) AS each (id);
    RETURN cardinality(waiting);
END;
$$
