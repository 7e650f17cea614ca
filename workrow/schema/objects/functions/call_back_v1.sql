-- Nodes have ended: those of their callbacks whose turn has come become jobs, and the others never will.
CREATE OR REPLACE FUNCTION workrow.call_back_v1(flow_ids bigint[], numbers integer[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    call record;
BEGIN
    FOR call IN
        SELECT callback.flow_id, callback.number, callback.fires IN (
            'end', CASE WHEN node.state IN ('succeeded', 'skipped') THEN 'success' ELSE 'failure' END
        ) AS due
        FROM unnest(flow_ids, numbers) AS given (flow_id, number)
        INNER JOIN workrow.flow_nodes AS node ON node.flow_id = given.flow_id AND node.number = given.number
        INNER JOIN workrow.flow_nodes AS callback
            ON callback.flow_id = node.flow_id AND callback.number = ANY(node.callbacks)
        WHERE callback.state = 'waiting'
        ORDER BY callback.flow_id, callback.number
    LOOP
        IF call.due THEN
            PERFORM workrow.advance_nodes_v1(ARRAY[call.flow_id], ARRAY[call.number], ARRAY[1]);
        ELSE
            UPDATE workrow.flow_nodes SET state = 'skipped'
            WHERE flow_id = call.flow_id AND number = call.number;
        END IF;
    END LOOP;
END;
$$
