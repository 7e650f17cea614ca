-- What goes before a claim, in a transaction of its own: whatever makes lines ready. Slots of jobs that have ended are
-- given back, and lines called that wait for their buckets.
-- The buckets are held meanwhile, as a claim holds them while it blocks lines on them. Else each could miss the other: the
-- claim sees the slot still taken, the call sees no line blocked yet. All lock buckets in the order of their names, and hold
-- none when they begin to, so that nobody waits in a circle.
-- What another transaction holds for longer than lock_timeout is left for a later call, alone; returns whether there is any.
CREATE OR REPLACE FUNCTION workrow.call_lines_v2() RETURNS boolean
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
-- small tables, many dead rows: what statistics say of such tables is never true
SET enable_seqscan = off
AS $$
DECLARE
    is_left boolean := false;
    calls bigint[];
    changed text[];
    ended tid[];
    wanted text[];
    held text[];
    missing text[] := '{}';
    freed text[];
    counts integer[];
BEGIN
    BEGIN
        PERFORM workrow.arrive_lines_v2('{}');
    EXCEPTION
        WHEN lock_not_available OR data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
            is_left := SQLSTATE = '55P03';
            PERFORM workrow.arrive_lines_v2(workrow.held_lines_v1());
    END;

    SELECT array_agg(call.id), array_agg(DISTINCT call.name) INTO calls, changed
    FROM (SELECT id, name FROM workrow.limit_calls ORDER BY id FOR UPDATE SKIP LOCKED) AS call;

    SELECT array_agg(over.place), array_agg(over.bucket) INTO ended, wanted
    FROM (
        SELECT slot.ctid AS place, slot.bucket
        FROM workrow.limit_slots AS slot
        -- a subquery with LIMIT stays one probe of the primary key; NOT EXISTS became a join with the whole table
        WHERE (
            SELECT job.id
            FROM procrastinate_jobs AS job
            WHERE job.id = slot.job_id AND job.status = 'doing' AND job.claims = slot.token
            LIMIT 1
        ) IS NULL
        ORDER BY slot.bucket
        FOR UPDATE SKIP LOCKED
    ) AS over;
    IF changed IS NOT NULL THEN
        wanted := wanted || ARRAY(
            SELECT known.bucket
            FROM workrow.limit_buckets AS known
            WHERE known.name = ANY(changed) OR known.bucket = ANY(changed)
        );
    END IF;
    IF coalesce(cardinality(wanted), 0) = 0 AND changed IS NULL THEN
        RETURN is_left;
    END IF;
    BEGIN
        PERFORM FROM workrow.limit_buckets WHERE bucket = ANY(wanted) ORDER BY bucket FOR UPDATE;
    EXCEPTION WHEN lock_not_available THEN
        is_left := true;
        held := ARRAY(SELECT bucket FROM workrow.limit_buckets WHERE bucket = ANY(wanted) FOR UPDATE SKIP LOCKED);
        missing := ARRAY(
            SELECT bucket FROM workrow.limit_buckets WHERE bucket = ANY(wanted) AND bucket <> ALL(held)
        );
    END;

    WITH gone AS (
        DELETE FROM workrow.limit_slots WHERE ctid = ANY(ended) AND bucket <> ALL(missing) RETURNING bucket
    )
    SELECT array_agg(each.bucket), array_agg(each.n) INTO freed, counts
    FROM (SELECT gone.bucket, CAST(count(*) AS integer) AS n FROM gone GROUP BY gone.bucket) AS each;
    -- and who waits for locks may have waited for one of these jobs
    PERFORM workrow.wake_lines_v1(
        freed || ARRAY(SELECT 'locks of ' || bucket FROM unnest(freed) AS bucket), counts || counts
    );
    IF changed IS NOT NULL THEN
        DELETE FROM workrow.limit_calls WHERE id = ANY(calls) AND name <> ALL(missing);
        -- what is left of a call is for one bucket
        INSERT INTO workrow.limit_calls (name)
        SELECT bucket
        FROM unnest(missing) AS bucket
        WHERE split_part(bucket, '=', 1) = ANY(changed) AND bucket <> ALL(changed);
        wanted := ARRAY(
            SELECT waiting.line
            FROM workrow.lines AS waiting
            WHERE
                (waiting.blocked_on IS NOT NULL OR waiting.wake_at IS NOT NULL)
                AND EXISTS (
                    SELECT FROM unnest(waiting.buckets) AS bucket
                    WHERE split_part(bucket, '=', 1) = ANY(changed) OR bucket = ANY(changed)
                )
                AND NOT waiting.buckets && missing
        );
        held := ARRAY(SELECT line FROM workrow.lines WHERE line = ANY(wanted) FOR UPDATE SKIP LOCKED);
        UPDATE workrow.lines SET blocked_on = NULL, wake_at = NULL WHERE line = ANY(held);
        IF cardinality(held) < cardinality(wanted) THEN
            is_left := true;
            INSERT INTO workrow.limit_calls (name)
            SELECT DISTINCT line.buckets[1]
            FROM workrow.lines AS line
            WHERE line.line = ANY(wanted) AND line.line <> ALL(held);
        END IF;
    END IF;
    RETURN is_left;
END;
$$
