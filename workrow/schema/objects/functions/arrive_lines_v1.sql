-- arrive_lines_v2, whatever somebody holds.
CREATE OR REPLACE FUNCTION workrow.arrive_lines_v1() RETURNS void
LANGUAGE sql
AS $$
    SELECT workrow.arrive_lines_v2('{}')
$$
