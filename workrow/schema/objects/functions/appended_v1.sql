-- How many nodes that were appended to this one have not ended yet.
CREATE OR REPLACE FUNCTION workrow.appended_v1(node workrow.flow_nodes) RETURNS integer
LANGUAGE sql
STABLE
AS $$
    SELECT CAST(count(*) AS integer)
    FROM workrow.flow_nodes AS appended
    WHERE
        appended.flow_id = node.flow_id
        AND appended.number >= 10000000
        AND appended.appended_to = node.number
        AND appended.state NOT IN ('succeeded', 'skipped')
$$
