-- Drop the partitions whose every job ended longer ago than "keep"; returns how many. Dropping waits for those who read
-- the history, and every finish would wait behind it: so it gives up soon, and the next call tries again. A partition, or a
-- row of the default one, that somebody holds stays alone.
CREATE OR REPLACE FUNCTION workrow.prune_history_v1(keep interval) RETURNS integer
LANGUAGE plpgsql
SET lock_timeout = '100ms'
AS $$
DECLARE
    old regclass[];
    partition regclass;
    dropped integer := 0;
BEGIN
    DELETE FROM workrow.history_default
    WHERE ctid = ANY(ARRAY(
        SELECT late.ctid FROM workrow.history_default AS late WHERE late.finished_at < now() - keep FOR UPDATE SKIP LOCKED
    ));
    old := ARRAY(
        SELECT CAST(child.oid AS regclass)
        FROM pg_inherits
        INNER JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
        WHERE
            pg_inherits.inhparent = CAST('workrow.history' AS regclass)
            AND CAST(
                substring(pg_get_expr(child.relpartbound, child.oid) FROM 'TO \(''([^'']+)''\)') AS timestamptz
            ) <= now() - keep
        ORDER BY child.relname
    );
    IF old = '{}' THEN
        RETURN 0;
    END IF;
    BEGIN
        -- what every DROP needs, once: with a wait for each partition, finishes would wait that often
        LOCK TABLE ONLY workrow.history, ONLY workrow.history_default IN ACCESS EXCLUSIVE MODE;
    EXCEPTION WHEN lock_not_available THEN
        RETURN 0;
    END;
    FOREACH partition IN ARRAY old LOOP
        BEGIN
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', partition);
            EXECUTE format('DROP TABLE %s', partition);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            CONTINUE;
        END;
    END LOOP;
    RETURN dropped;
END;
$$
