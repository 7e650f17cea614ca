-- As call_lines_v2, for workers of version 5 and before.
CREATE OR REPLACE FUNCTION workrow.call_lines_v1() RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM workrow.call_lines_v2();
END;
$$
