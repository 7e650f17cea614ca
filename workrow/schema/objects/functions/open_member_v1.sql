-- The first member of a batch, from this number on, that has not ended; NULL: all have.
CREATE OR REPLACE FUNCTION workrow.open_member_v1(in_flow bigint, from_number integer) RETURNS integer
LANGUAGE sql
STABLE
AS $$
    SELECT member.number
    FROM workrow.flow_nodes AS member
    WHERE
        member.flow_id = in_flow
        AND member.number <= from_number
        AND member.state NOT IN ('succeeded', 'failed', 'cancelled', 'skipped')
    ORDER BY member.number DESC
    LIMIT 1
$$
