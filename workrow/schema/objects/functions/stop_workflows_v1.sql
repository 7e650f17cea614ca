-- Some of these nodes have failed: their workflows, which the caller holds, remember it, and come to their end unless they
-- are to go on.
CREATE OR REPLACE FUNCTION workrow.stop_workflows_v1(flow_ids bigint[], numbers integer[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    stopped bigint;
BEGIN
    FOR stopped IN
        UPDATE workrow.flows AS flow
        SET
            failed_node = coalesce(flow.failed_node, failed.number),
            on_failure = CASE WHEN failed.policy = 'continue' THEN flow.on_failure ELSE failed.policy END,
            state = CASE WHEN failed.policy <> 'continue' AND flow.state = 'running' THEN 'stopping' ELSE flow.state END
        FROM (
            SELECT DISTINCT ON (node.flow_id) node.flow_id, node.number, coalesce(node.on_failure, whole.on_failure) AS policy
            FROM unnest(flow_ids, numbers) AS given (flow_id, number)
            INNER JOIN workrow.flow_nodes AS node ON node.flow_id = given.flow_id AND node.number = given.number
            INNER JOIN workrow.flows AS whole ON whole.id = given.flow_id
            WHERE node.state IN ('failed', 'cancelled') AND node.fires IS NULL
            -- one that is not to go on says what the others do
            ORDER BY node.flow_id, coalesce(node.on_failure, whole.on_failure) = 'continue', node.number
        ) AS failed
        WHERE flow.id = failed.flow_id AND flow.ended_at IS NULL
        RETURNING CASE WHEN flow.state = 'stopping' THEN flow.id END
    LOOP
        IF stopped IS NOT NULL THEN
            PERFORM workrow.cancel_node_jobs_v1(stopped, 1000);
        END IF;
    END LOOP;
END;
$$
