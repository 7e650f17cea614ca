-- See end_nodes_v1. Effective once for each job: a node ends that is enqueued. The lock on the workflow, held until the
-- commit, lets every end see all those before it; workflows are locked in one order.
-- Its plans are looked up by key whatever the arrays hold: made anew for each call, they were half of a chain's step (2.1 ms, and
-- 1.2 with generic ones).
CREATE OR REPLACE FUNCTION workrow.unblock_nodes_v1(
    flow_ids bigint[], numbers integer[], statuses text[], results text[], errors text[]
) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    flows bigint[] := ARRAY(SELECT DISTINCT each.id FROM unnest(flow_ids) AS each (id));
    bad boolean;
    calling boolean;
    expanding boolean;
    hit_flows bigint[];
    hit_numbers integer[];
    hit_times integer[];
BEGIN
    PERFORM FROM workrow.flows AS flow WHERE flow.id = ANY(flows) ORDER BY flow.id FOR NO KEY UPDATE;
    expanding := EXISTS (
        SELECT FROM workrow.flow_nodes AS node WHERE node.flow_id = ANY(flows) AND node.number >= 10000000
    );
    WITH ended AS (
        UPDATE workrow.flow_nodes AS node
        SET
            state = CASE
                WHEN given.status IN ('cancelled', 'aborted') THEN 'cancelled'
                WHEN given.status <> 'succeeded' THEN 'failed'
                -- somebody needs a result that is not there
                WHEN node.kept AND node.replaced_by IS NULL AND given.error ->> 'type' IN ('workrow.ResultNotKept', 'workrow.StockWorker') THEN 'failed'
                WHEN expanding AND workrow.appended_v1(node) > 0 THEN 'expanded'
                ELSE 'succeeded'
            END,
            pending = CASE WHEN expanding AND given.status = 'succeeded' THEN workrow.appended_v1(node) ELSE 0 END,
            result = CASE
                WHEN NOT node.kept THEN NULL
                WHEN node.replaced_by IS NULL THEN CAST(given.result AS jsonb)
                ELSE workrow.value_of_node_v1(node)
            END,
            error = CASE
                -- by itself; its last error is of an earlier attempt
                WHEN
                    given.status IN ('cancelled', 'aborted')
                    AND coalesce(given.error ->> 'type', '') NOT IN ('workrow.Deleted', 'workrow.Expired')
                    THEN CASE
                        WHEN flow.state <> 'cancelling' THEN jsonb_build_object(
                            'type', 'workrow.Cancelled', 'message', 'its job was ' || given.status, 'discarded', false
                        )
                    END
                WHEN given.status <> 'succeeded' OR node.kept THEN given.error
            END,
            ended_at = clock_timestamp()
        FROM (
            SELECT each.flow_id, each.number, each.status, each.result, CAST(each.error AS jsonb) AS error
            FROM unnest(flow_ids, numbers, statuses, results, errors) AS each (flow_id, number, status, result, error)
        ) AS given
        INNER JOIN workrow.flows AS flow ON flow.id = given.flow_id
        WHERE node.flow_id = given.flow_id AND node.number = given.number AND node.state = 'enqueued'
        RETURNING
            node.flow_id, node.state, node.fires, node.dependents, node.callbacks,
            coalesce(node.on_failure, flow.on_failure) = 'continue' AS tolerated
    ),
    hits AS (
        SELECT alike.flow_id, dependent.number, CAST(sum(alike.times) AS integer) AS times
        FROM (
            -- members of a group have the same ones: to unnest each would cost a microsecond
            SELECT ended.flow_id, ended.dependents, count(*) AS times
            FROM ended
            WHERE ended.state = 'succeeded' OR ended.state <> 'expanded' AND (ended.tolerated OR ended.fires IS NOT NULL)
            GROUP BY ended.flow_id, ended.dependents
        ) AS alike
        CROSS JOIN LATERAL unnest(alike.dependents) AS dependent (number)
        GROUP BY alike.flow_id, dependent.number
    )
    SELECT
        (SELECT bool_or(ended.state NOT IN ('succeeded', 'expanded') AND ended.fires IS NULL) FROM ended),
        (SELECT bool_or(ended.callbacks IS NOT NULL AND ended.state <> 'expanded') FROM ended),
        array_agg(hits.flow_id), array_agg(hits.number), array_agg(hits.times)
    INTO bad, calling, hit_flows, hit_numbers, hit_times
    FROM hits;
    IF bad THEN
        PERFORM workrow.stop_workflows_v1(flow_ids, numbers);
    END IF;
    IF expanding THEN
        UPDATE workrow.flow_nodes AS appended
        SET dependents = ARRAY[node.number]
        FROM workrow.flow_nodes AS node
        WHERE
            node.flow_id = ANY(flows)
            AND node.state = 'expanded'
            AND appended.flow_id = node.flow_id
            AND appended.number >= 10000000
            AND appended.appended_to = node.number
            AND appended.state NOT IN ('succeeded', 'skipped');
        -- what was appended may have ended in the same statement
        WITH counted AS (
            UPDATE workrow.flow_nodes AS node
            SET pending = workrow.appended_v1(node)
            FROM unnest(flow_ids, numbers) AS given (flow_id, number)
            WHERE node.flow_id = given.flow_id AND node.number = given.number AND node.state = 'expanded'
            RETURNING node.flow_id, node.number, node.pending
        )
        SELECT
            hit_flows || array_agg(counted.flow_id), hit_numbers || array_agg(counted.number), hit_times || array_agg(0)
        INTO hit_flows, hit_numbers, hit_times
        FROM counted
        WHERE counted.pending = 0;
    END IF;
    PERFORM workrow.advance_nodes_v1(hit_flows, hit_numbers, hit_times);
    IF calling THEN
        PERFORM workrow.call_back_v1(flow_ids, numbers);
    END IF;
    PERFORM workrow.settle_workflows_v1(flows);
END;
$$
