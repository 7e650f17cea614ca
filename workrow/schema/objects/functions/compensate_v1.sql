-- Undo what has succeeded in a workflow, the last first, one after the other; whether there is anything to undo. The caller
-- holds it.
CREATE OR REPLACE FUNCTION workrow.compensate_v1(in_flow bigint) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    first integer;
BEGIN
    UPDATE workrow.flow_nodes AS undo
    SET state = 'skipped'
    FROM workrow.flow_nodes AS done
    WHERE
        undo.flow_id = in_flow AND undo.fires = 'undo' AND undo.state = 'waiting'
        AND done.flow_id = in_flow AND done.number = undo.parents[1] AND done.state <> 'succeeded';
    WITH turn AS (
        SELECT
            undo.number,
            lead(undo.number) OVER (ORDER BY done.ended_at DESC, done.number DESC) AS next,
            row_number() OVER (ORDER BY done.ended_at DESC, done.number DESC) AS place
        FROM workrow.flow_nodes AS undo
        INNER JOIN workrow.flow_nodes AS done ON done.flow_id = undo.flow_id AND done.number = undo.parents[1]
        WHERE undo.flow_id = in_flow AND undo.fires = 'undo' AND undo.state = 'waiting'
    ),
    ordered AS (
        UPDATE workrow.flow_nodes AS undo
        SET dependents = CASE WHEN turn.next IS NOT NULL THEN ARRAY[turn.next] END
        FROM turn
        WHERE undo.flow_id = in_flow AND undo.number = turn.number
        RETURNING CASE WHEN turn.place = 1 THEN turn.number END AS number
    )
    SELECT max(ordered.number) INTO first FROM ordered;
    IF first IS NULL THEN
        RETURN false;
    END IF;
    PERFORM workrow.advance_nodes_v1(ARRAY[in_flow], ARRAY[first], ARRAY[1]);
    RETURN true;
END;
$$
