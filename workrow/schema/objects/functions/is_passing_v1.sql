-- Whether an error says nothing of the rows: another transaction is in the way, or the server is full or ends.
CREATE OR REPLACE FUNCTION workrow.is_passing_v1(state text) RETURNS boolean
LANGUAGE sql
IMMUTABLE
AS $$
    SELECT state IN ('40001', '40P01', '55P03') OR left(state, 2) IN ('08', '53', '57', '58', 'XX')
$$
