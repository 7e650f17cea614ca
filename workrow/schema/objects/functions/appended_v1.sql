-- How many nodes that were appended to this one are still waited for: a failure that the workflow goes on after is not.
CREATE OR REPLACE FUNCTION workrow.appended_v1(node workrow.flow_nodes) RETURNS integer
LANGUAGE sql
STABLE
AS $$
    SELECT CAST(count(*) AS integer)
    FROM workrow.flow_nodes AS appended
    INNER JOIN workrow.flows AS flow ON flow.id = appended.flow_id
    WHERE
        appended.flow_id = node.flow_id
        AND appended.number >= 10000000
        AND appended.appended_to = node.number
        AND appended.state NOT IN ('succeeded', 'skipped')
        AND (appended.state NOT IN ('failed', 'cancelled') OR coalesce(appended.on_failure, flow.on_failure) <> 'continue')
$$
