-- Drop the partitions whose every job ended longer ago than "keep"; returns how many. Dropping waits for those who read
-- the history, and every finish would wait behind it: so it gives up soon, and the next call tries again. A partition, or a
-- row of the default one, that somebody holds stays alone. Jobs of workflows that have not ended, or not so long ago, stay, in
-- the default partition: a workflow that can be seen, or tried again, has all of its jobs.
CREATE OR REPLACE FUNCTION workrow.prune_history_v1(keep interval) RETURNS integer
LANGUAGE plpgsql
SET lock_timeout = '100ms'
AS $$
DECLARE
    old regclass[];
    partition regclass;
    dropped integer := 0;
    kept bigint[];
    staying workrow.history[];
BEGIN
    kept := ARRAY(
        SELECT past.id
        FROM workrow.flows AS flow
        INNER JOIN workrow.flow_nodes AS node ON node.flow_id = flow.id
        INNER JOIN workrow.history AS past ON past.id = node.job_id
        WHERE
            flow.created_at < now() - keep
            AND (flow.ended_at IS NULL OR flow.ended_at >= now() - keep)
            AND past.finished_at < now() - keep
    );
    DELETE FROM workrow.history_default
    WHERE ctid = ANY(ARRAY(
        SELECT late.ctid
        FROM workrow.history_default AS late
        WHERE late.finished_at < now() - keep AND NOT EXISTS (SELECT FROM unnest(kept) AS each (id) WHERE each.id = late.id)
        FOR UPDATE SKIP LOCKED
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
            IF cardinality(kept) > 0 THEN
                staying := staying || ARRAY(
                    SELECT past FROM workrow.history AS past WHERE past.id = ANY(kept) AND past.tableoid = partition
                );
            END IF;
            EXECUTE format('DROP TABLE %s', partition);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            CONTINUE;
        END;
    END LOOP;
    IF cardinality(staying) > 0 THEN
        -- they do not end a second time
        ALTER TABLE workrow.history_default DISABLE TRIGGER USER;
        INSERT INTO workrow.history_default SELECT each.* FROM unnest(staying) AS each;
        ALTER TABLE workrow.history_default ENABLE TRIGGER USER;
    END IF;
    RETURN dropped;
END;
$$
