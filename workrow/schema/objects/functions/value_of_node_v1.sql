-- What a node that is no job of its own has come to: the values of its parents, in a list or by their names.
CREATE OR REPLACE FUNCTION workrow.value_of_node_v1(node workrow.flow_nodes) RETURNS jsonb
LANGUAGE sql
STABLE
AS $$
    SELECT
        CASE
            WHEN node.kind = 'gather' THEN (
                SELECT coalesce(jsonb_agg(coalesce(giver.result, 'null') ORDER BY parent.place), '[]')
                FROM unnest(node.parents) WITH ORDINALITY AS parent (number, place)
                INNER JOIN workrow.flow_nodes AS giver ON giver.flow_id = node.flow_id AND giver.number = parent.number
            )
            WHEN node.kind = 'object' THEN (
                SELECT
                    coalesce(
                        jsonb_object_agg(node.args ->> CAST(parent.place - 1 AS integer), coalesce(giver.result, 'null')), '{}'
                    )
                FROM unnest(node.parents) WITH ORDINALITY AS parent (number, place)
                INNER JOIN workrow.flow_nodes AS giver ON giver.flow_id = node.flow_id AND giver.number = parent.number
            )
            -- a task that others were appended to, or that another workflow took the place of
            WHEN node.replaced_by IS NULL THEN node.result
            ELSE (
                SELECT other.result
                FROM workrow.flow_nodes AS other
                WHERE other.flow_id = node.flow_id AND other.number = node.replaced_by
            )
        END
$$
