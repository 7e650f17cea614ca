-- What goes before a claim, in a transaction of its own: whatever makes lines ready. Slots of jobs that have ended are
-- given back, and lines called that wait for their buckets.
-- The buckets are held meanwhile, as a claim holds them while it blocks lines on them. Else each could miss the other: the
-- claim sees the slot still taken, the call sees no line blocked yet. All lock buckets in the order of their names, and hold
-- none when they begin to, so that nobody waits in a circle.
CREATE OR REPLACE FUNCTION workrow.call_lines_v1() RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
-- small tables, many dead rows: what statistics say of such tables is never true
SET enable_seqscan = off
AS $$
DECLARE
    changed text[];
    ended tid[];
    held text[];
    freed text[];
    counts integer[];
BEGIN
    PERFORM workrow.arrive_lines_v1();

    WITH called AS (
        DELETE FROM workrow.limit_calls
        WHERE id = ANY(ARRAY(SELECT call.id FROM workrow.limit_calls AS call ORDER BY call.id FOR UPDATE SKIP LOCKED))
        RETURNING name
    )
    SELECT array_agg(called.name) INTO changed FROM called;

    SELECT array_agg(over.place), array_agg(over.bucket) INTO ended, held
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
        held := held || ARRAY(SELECT known.bucket FROM workrow.limit_buckets AS known WHERE known.name = ANY(changed));
    END IF;
    IF coalesce(cardinality(held), 0) = 0 AND changed IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM workrow.limit_buckets WHERE bucket = ANY(held) ORDER BY bucket FOR UPDATE;

    WITH gone AS (
        DELETE FROM workrow.limit_slots WHERE ctid = ANY(ended) RETURNING bucket
    )
    SELECT array_agg(each.bucket), array_agg(each.n) INTO freed, counts
    FROM (SELECT gone.bucket, CAST(count(*) AS integer) AS n FROM gone GROUP BY gone.bucket) AS each;
    -- and who waits for locks may have waited for one of these jobs
    PERFORM workrow.wake_lines_v1(
        freed || ARRAY(SELECT 'locks of ' || bucket FROM unnest(freed) AS bucket), counts || counts
    );
    IF changed IS NOT NULL THEN
        UPDATE workrow.lines
        SET blocked_on = NULL, wake_at = NULL
        WHERE line = ANY(ARRAY(
            SELECT waiting.line
            FROM workrow.lines AS waiting
            WHERE
                (waiting.blocked_on IS NOT NULL OR waiting.wake_at IS NOT NULL)
                AND EXISTS (
                    SELECT FROM unnest(waiting.buckets) AS bucket WHERE split_part(bucket, '=', 1) = ANY(changed)
                )
            FOR UPDATE SKIP LOCKED
        ));
    END IF;
END;
$$
