-- Drop the partitions whose every job ended longer ago than "keep"; returns how many.
CREATE FUNCTION workrow.prune_history_v1(keep interval) RETURNS integer
LANGUAGE plpgsql
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
        EXECUTE format('DROP TABLE %s', partition);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM workrow.history_default WHERE finished_at < now() - keep;
    RETURN dropped;
END;
$$
