-- Those of these workflows that have come to their end, end: the last node has ended; or one has failed, or it was cancelled,
-- and nothing of it runs any more. The caller holds them.
CREATE OR REPLACE FUNCTION workrow.settle_workflows_v1(flow_ids bigint[]) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    flow record;
    verdict text;
    undone integer;
BEGIN
    PERFORM workrow.settle_batches_v1(flow_ids);
    FOR flow IN
        SELECT each.id, each.state, each.on_failure, each.failed_node, each.callbacks, each.root
        FROM workrow.flows AS each
        INNER JOIN workrow.flow_nodes AS root ON root.flow_id = each.id AND root.number = each.root
        WHERE
            each.id = ANY(flow_ids)
            AND each.ended_at IS NULL
            AND (
                each.state = 'running' AND root.state IN ('succeeded', 'failed', 'cancelled', 'skipped')
                OR each.state <> 'running' AND NOT EXISTS (
                    SELECT
                    FROM workrow.flow_nodes AS node
                    WHERE
                        node.flow_id = each.id
                        AND node.state = 'enqueued'
                        AND coalesce(node.fires = 'undo', true)
                )
            )
    LOOP
        IF flow.state = 'stopping' AND flow.on_failure = 'compensate' THEN
            UPDATE workrow.flows SET state = 'compensating' WHERE id = flow.id;
            CONTINUE WHEN workrow.compensate_v1(flow.id);
        END IF;
        verdict := CASE
            WHEN flow.state = 'cancelling' THEN 'cancelled'
            WHEN flow.failed_node IS NOT NULL THEN 'failed'
            ELSE 'succeeded'
        END;
        UPDATE workrow.flows SET state = verdict, ended_at = clock_timestamp(), paused = false WHERE id = flow.id;
        UPDATE workrow.flow_nodes AS node
        SET
            state = CASE WHEN node.fires IN ('end', due.word) THEN 'waiting' ELSE 'skipped' END,
            -- what it is given: the first failure, or the workflow's value (or how it has ended, see advance_nodes_v1)
            takes = (
                SELECT jsonb_object_agg(name, CASE WHEN node.fires = 'failure' THEN flow.failed_node ELSE flow.root END)
                FROM jsonb_object_keys(node.takes) AS name
            )
        FROM (SELECT CASE verdict WHEN 'succeeded' THEN 'success' WHEN 'failed' THEN 'failure' END AS word) AS due
        WHERE node.flow_id = flow.id AND node.number = ANY(flow.callbacks);
        PERFORM workrow.advance_nodes_v1(array_agg(node.flow_id), array_agg(node.number), array_agg(1))
        FROM workrow.flow_nodes AS node
        WHERE node.flow_id = flow.id AND node.number = ANY(flow.callbacks) AND node.state = 'waiting'
        HAVING count(*) > 0;
    END LOOP;
END;
$$
