-- Which of these jobs cannot run now, for one that is not committed runs under their lock. Each is tried, and left as it was.
CREATE OR REPLACE FUNCTION workrow.held_locks_v1(ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql
SET lock_timeout = '2ms'
AS $$
DECLARE
    each bigint;
    held bigint[] := '{}';
BEGIN
    FOREACH each IN ARRAY ids LOOP
        BEGIN
            UPDATE procrastinate_jobs SET status = 'doing' WHERE id = each AND lock IS NOT NULL;
            RAISE USING ERRCODE = 'WR001';
        EXCEPTION
            WHEN SQLSTATE 'WR001' THEN
                NULL;
            WHEN lock_not_available OR unique_violation THEN
                held := held || each;
        END;
    END LOOP;
    RETURN held;
END;
$$
