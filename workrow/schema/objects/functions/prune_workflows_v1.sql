-- Delete workflows that ended longer ago than "keep", with their nodes, so many at most; returns how many.
CREATE OR REPLACE FUNCTION workrow.prune_workflows_v1(keep interval, max_rows integer DEFAULT 100) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    old CONSTANT bigint[] := ARRAY(
        SELECT flow.id FROM workrow.flows AS flow
        WHERE flow.ended_at < now() - keep
        ORDER BY flow.id
        LIMIT max_rows
        FOR UPDATE SKIP LOCKED
    );
BEGIN
    DELETE FROM workrow.flow_nodes WHERE flow_id = ANY(old);
    DELETE FROM workrow.flows WHERE id = ANY(old);
    RETURN cardinality(old);
END;
$$
