-- Make the partitions of today and the next days. Built beside the table and attached: that waits for no finish, and no
-- finish waits for it, unless the day's ends go to the default partition, for it was not made in time: then for the moment
-- in which the last of them are moved. It waits for those who read the history, though, and others who want to read would
-- wait behind it: so it gives up soon, and the next call tries again.
CREATE OR REPLACE FUNCTION workrow.extend_history_v1(days integer DEFAULT 3) RETURNS integer
LANGUAGE plpgsql
SET lock_timeout = '100ms'
AS $$
DECLARE
    day_start timestamptz;
    day_end timestamptz;
    partition text;
    move text;
    made integer := 0;
BEGIN
    FOR ahead IN 0 .. days LOOP
        day_start := date_trunc('day', now(), 'UTC') + ahead * INTERVAL '24 hours';
        day_end := day_start + INTERVAL '24 hours';
        partition := 'history_' || to_char(day_start AT TIME ZONE 'UTC', 'YYYYMMDD');
        CONTINUE WHEN to_regclass('workrow.' || partition) IS NOT NULL;
        BEGIN
            -- "history" in ASCII; two workers at the same time: one of them makes it
            EXIT WHEN NOT pg_try_advisory_xact_lock(29401342462554745);
            CONTINUE WHEN to_regclass('workrow.' || partition) IS NOT NULL;
            EXECUTE format('CREATE TABLE workrow.%I (LIKE workrow.history INCLUDING ALL)', partition);
            move := format(
                'WITH late AS ('
                'DELETE FROM workrow.history_default WHERE finished_at >= %L AND finished_at < %L RETURNING *'
                ') INSERT INTO workrow.%I SELECT * FROM late',
                day_start, day_end, partition
            );
            -- most of it while others go on; the rest, with what they have written meanwhile, while nobody writes there
            EXECUTE move;
            LOCK TABLE workrow.history_default IN ACCESS EXCLUSIVE MODE;
            EXECUTE move;
            EXECUTE format(
                'ALTER TABLE workrow.history ATTACH PARTITION workrow.%I FOR VALUES FROM (%L) TO (%L)',
                partition, day_start, day_end
            );
            made := made + 1;
        EXCEPTION
            -- the last is another worker's, whose commit to_regclass() has not heard of yet
            WHEN lock_not_available OR deadlock_detected OR check_violation OR duplicate_table THEN
                EXIT;
        END;
    END LOOP;
    RETURN made;
END;
$$
