-- Drop the partitions whose every job ended longer ago than "keep"; returns how many. Dropping waits for those who read
-- the history, and every finish would wait behind it: so it gives up soon, and the next call tries again.
CREATE OR REPLACE FUNCTION workrow.prune_history_v1(keep interval) RETURNS integer
LANGUAGE plpgsql
SET lock_timeout = '200ms'
AS $$
DECLARE
    partition regclass;
    dropped integer := 0;
BEGIN
    FOR partition IN
        SELECT child.oid
        FROM pg_inherits
        INNER JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
        WHERE
            pg_inherits.inhparent = CAST('workrow.history' AS regclass)
            AND CAST(
                substring(pg_get_expr(child.relpartbound, child.oid) FROM 'TO \(''([^'']+)''\)') AS timestamptz
            ) <= now() - keep
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE %s', partition);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            EXIT;
        END;
    END LOOP;
    DELETE FROM workrow.history_default WHERE finished_at < now() - keep;
    RETURN dropped;
END;
$$
