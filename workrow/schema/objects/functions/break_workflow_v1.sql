-- A workflow that cannot go on has failed. What waits is cancelled, what is enqueued already runs; no callback is called, for
-- that may be what cannot be enqueued.
CREATE OR REPLACE FUNCTION workrow.break_workflow_v1(in_flow bigint, numbers integer[], why text) RETURNS void
LANGUAGE sql
AS $$
    UPDATE workrow.flow_nodes
    SET
        state = CASE WHEN state = 'enqueued' THEN 'failed' ELSE 'cancelled' END,
        error = jsonb_build_object(
            'type', 'workrow.WorkflowBroken', 'message', 'the workflow cannot go on after it: ' || left(why, 1000), 'discarded', false
        ),
        ended_at = clock_timestamp()
    WHERE
        flow_id = in_flow
        AND (state IN ('waiting', 'ready', 'expanded') OR state = 'enqueued' AND number = ANY(numbers));
    UPDATE workrow.flows
    SET state = 'failed', failed_node = coalesce(failed_node, numbers[1], root), paused = false, ended_at = clock_timestamp()
    WHERE id = in_flow AND ended_at IS NULL;
    SELECT workrow.free_nodes_v1(in_flow, 20);
$$
