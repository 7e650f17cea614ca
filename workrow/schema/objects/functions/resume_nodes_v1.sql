-- Whatever of a workflow waits for nobody becomes a job. The caller holds it.
CREATE OR REPLACE FUNCTION workrow.resume_nodes_v1(in_flow bigint) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM workrow.advance_nodes_v1(array_agg(node.flow_id), array_agg(node.number), array_agg(0))
    FROM workrow.flow_nodes AS node
    WHERE node.flow_id = in_flow AND node.state IN ('waiting', 'ready') AND node.pending = 0 AND node.fires IS NULL
    HAVING count(*) > 0;
    PERFORM workrow.settle_workflows_v1(ARRAY[in_flow]);
END;
$$
