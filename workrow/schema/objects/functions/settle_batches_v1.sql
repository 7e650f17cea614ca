-- Those of these workflows that are batches whose members have all ended have come to their end: their root has. The caller
-- holds them. Nothing is counted, for who adds members must not wait for the batch: the root's "pending" is a member that
-- has not ended, the witness. Members that a running one adds have later numbers than its own and are there before it ends,
-- so that the witness only ever moves on, and all its moves together look at each member once.
CREATE OR REPLACE FUNCTION workrow.settle_batches_v1(flow_ids bigint[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    batch record;
    witness integer;
BEGIN
    FOR batch IN
        SELECT root.flow_id, root.pending AS seen
        FROM workrow.flow_nodes AS root
        WHERE root.flow_id = ANY(flow_ids) AND root.number = 0 AND root.kind = 'batch' AND root.state = 'waiting'
    LOOP
        witness := workrow.open_member_v1(batch.flow_id, batch.seen);
        IF witness IS NULL THEN
            -- before the end once over all of them: numbers start anew after 2,147,483,648, and workflows that members
            -- returned have numbers of their own
            SELECT node.number INTO witness
            FROM workrow.flow_nodes AS node
            WHERE
                node.flow_id = batch.flow_id AND node.number <> 0 AND node.fires IS NULL
                AND node.state NOT IN ('succeeded', 'failed', 'cancelled', 'skipped')
            ORDER BY node.number
            LIMIT 1;
        END IF;
        IF witness IS NULL THEN
            UPDATE workrow.flow_nodes
            SET
                state = 'succeeded',
                ended_at = clock_timestamp(),
                result = jsonb_build_object('workflow_id', batch.flow_id, 'state', 'succeeded')
            WHERE flow_id = batch.flow_id AND number = 0;
        ELSIF witness < 0 AND abs(witness - batch.seen) > 100 THEN
            -- not each time: an update leaves a dead row
            UPDATE workrow.flow_nodes SET pending = witness WHERE flow_id = batch.flow_id AND number = 0;
        END IF;
    END LOOP;
END;
$$
