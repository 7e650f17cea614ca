-- Jobs of workflows have ended, so: whatever that unblocks becomes a job in the same transaction. Called with what was just
-- deleted from the live table, once for each job. A workflow that cannot go on (its rows were changed by hand, the table
-- refuses its next job) fails with the reason; the end, and those of others, stay.
CREATE OR REPLACE FUNCTION workrow.end_nodes_v1(
    flow_ids bigint[], numbers integer[], statuses text[], results text[], errors text[]
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    flow bigint;
BEGIN
    PERFORM workrow.unblock_nodes_v1(flow_ids, numbers, statuses, results, errors);
EXCEPTION WHEN OTHERS THEN
    IF workrow.is_passing_v1(SQLSTATE) THEN
        RAISE;
    END IF;
    IF flow_ids[1] = ALL(flow_ids) THEN
        PERFORM workrow.break_workflow_v1(flow_ids[1], numbers, SQLERRM);
        RETURN;
    END IF;
    FOR flow IN SELECT DISTINCT each.id FROM unnest(flow_ids) AS each (id) ORDER BY each.id LOOP
        PERFORM workrow.end_nodes_v1(
            array_agg(given.flow_id), array_agg(given.number), array_agg(given.status), array_agg(given.result), array_agg(given.error)
        )
        FROM unnest(flow_ids, numbers, statuses, results, errors) AS given (flow_id, number, status, result, error)
        WHERE given.flow_id = flow;
    END LOOP;
END;
$$
