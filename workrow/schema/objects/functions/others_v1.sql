-- The numbers from 1 to "total" that are not in "done".
CREATE OR REPLACE FUNCTION workrow.others_v1(total integer, done integer[]) RETURNS integer[]
LANGUAGE sql
IMMUTABLE
AS $$
    SELECT ARRAY(SELECT place FROM generate_series(1, total) AS place EXCEPT SELECT each FROM unnest(done) AS each)
$$
