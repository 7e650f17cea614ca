-- Claim up to how_many jobs of lines that are ready (see workrow.call_lines_v1). A row without an id comes back when there is nothing. look_in: seconds until
-- it pays to ask again (0: at once; NULL: when a job comes or ends).
CREATE OR REPLACE FUNCTION workrow.claim_limited_v1(
    owner bigint, tasks text[], queues text[], how_many integer, paused text[] DEFAULT '{}'
)
RETURNS TABLE (
    look_in double precision, id bigint, queue_name varchar, task_name varchar, priority integer, lock text,
    queueing_lock text, args jsonb, scheduled_at timestamptz, attempts integer, claims integer, crashes integer,
    expires_in double precision, version smallint
)
LANGUAGE plpgsql
-- planning all this anew for each array of keys took half of the time
SET plan_cache_mode = force_generic_plan
-- small tables, many dead rows: an index passes over these, and what statistics say of such tables is never true
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    picked text[];
    names text[];
    held text[];
    is_held boolean := false;
    aside text[];
    rooms workrow.limit_room[];
    left_over double precision[];
    chosen bigint[];
    passed bigint[];
    ids bigint[] := '{}';
    served text[];
    soon double precision;
    lines_most integer := least(how_many, greatest(50, how_many / 2), 200);
BEGIN
    picked := ARRAY(
        SELECT ready.line
        FROM workrow.lines AS ready
        WHERE
            ready.blocked_on IS NULL
            AND ready.wake_at IS NULL
            AND ready.task_name = ANY(tasks)
            AND (queues IS NULL OR ready.queue_name = ANY(queues))
            AND ready.queue_name <> ALL(paused)
        ORDER BY ready.priority DESC, ready.turn
        -- few lines with several jobs each cost less than many with one
        LIMIT lines_most
        FOR UPDATE SKIP LOCKED
    );
    IF picked <> '{}' THEN
        names := ARRAY(
            SELECT DISTINCT bucket
            FROM workrow.lines AS line, unnest(line.buckets) AS bucket
            WHERE line.line = ANY(picked)
            ORDER BY bucket
        );
        LOOP
            BEGIN
                INSERT INTO workrow.limit_buckets (bucket, name, key)
                SELECT bucket, split_part(bucket, '=', 1), substr(bucket, length(split_part(bucket, '=', 1)) + 2)
                FROM unnest(names) AS bucket
                WHERE NOT EXISTS (SELECT FROM workrow.limit_buckets AS known WHERE known.bucket = bucket.bucket)
                ORDER BY bucket
                ON CONFLICT (bucket) DO NOTHING;
            EXCEPTION WHEN lock_not_available THEN
                is_held := true;
            END;
            BEGIN
                -- in the order of their names, so that no two claims wait for each other
                held := ARRAY(
                    SELECT bucket FROM workrow.limit_buckets WHERE bucket = ANY(names) ORDER BY bucket FOR UPDATE
                );
            EXCEPTION WHEN lock_not_available THEN
                is_held := true;
                held := ARRAY(SELECT bucket FROM workrow.limit_buckets WHERE bucket = ANY(names) FOR UPDATE SKIP LOCKED);
            END;
            IF is_held THEN
                -- nothing is blocked on a bucket that is not held: these ask again when their time has come
                aside := ARRAY(SELECT line FROM workrow.lines WHERE line = ANY(picked) AND NOT buckets <@ held);
                UPDATE workrow.lines SET wake_at = clock_timestamp() + INTERVAL '1 second' WHERE line = ANY(aside);
                picked := ARRAY(SELECT line FROM unnest(picked) AS line WHERE line <> ALL(aside));
                names := held;
            END IF;
            -- fewer, when one was pruned in this moment
            EXIT WHEN cardinality(held) = cardinality(names);
        END LOOP;
    END IF;
    IF picked <> '{}' THEN
        -- If the clock was set back: what was admitted last was so now, and all before as much earlier. Cells count from 1970.
        UPDATE workrow.limit_buckets AS known
        SET
            refilled_at = clock_timestamp(),
            cells = ARRAY(
                SELECT old.number - CAST(floor(
                    known.cells[cardinality(known.cells)]
                    * (1 - extract(EPOCH FROM clock_timestamp()) / extract(EPOCH FROM known.refilled_at))
                ) AS bigint)
                FROM unnest(known.cells) WITH ORDINALITY AS old (number, place)
                ORDER BY old.place
            )
        WHERE known.bucket = ANY(names) AND known.refilled_at > clock_timestamp();
        rooms := ARRAY(SELECT known FROM workrow.limit_rooms_v1(names) AS known);
        SELECT choice.chosen, choice.left_over INTO chosen, left_over
        FROM workrow.choose_jobs_v1(picked, rooms, how_many) AS choice;
        aside := '{}';
        BEGIN
            SELECT coalesce(taken.ids, '{}'), coalesce(taken.lines, '{}') INTO ids, served
            FROM workrow.take_jobs_v1(owner, chosen, rooms) AS taken;
        EXCEPTION WHEN lock_not_available THEN
            passed := workrow.held_locks_v1(chosen);
            aside := ARRAY(SELECT DISTINCT job.line FROM procrastinate_jobs AS job WHERE job.id = ANY(passed));
            chosen := ARRAY(SELECT job FROM unnest(chosen) AS job WHERE job <> ALL(passed));
            SELECT coalesce(taken.ids, '{}'), coalesce(taken.lines, '{}') INTO ids, served
            FROM workrow.take_jobs_v1(owner, chosen, rooms) AS taken;
        END;
        IF aside <> '{}' OR cardinality(ids) < cardinality(chosen)
            OR EXISTS (SELECT FROM unnest(rooms) AS each WHERE each.tokens IS NOT NULL)
        THEN
            -- some were cancelled meanwhile, or their locks are held, or the next token's time is asked for
            rooms := ARRAY(SELECT known FROM workrow.limit_rooms_v1(names) AS known);
            left_over := ARRAY(SELECT each.room FROM unnest(rooms) AS each);
        END IF;
        PERFORM workrow.settle_lines_v1(picked, rooms, left_over, served, how_many, cardinality(picked) >= greatest(lines_most, 50));
        IF aside <> '{}' THEN
            UPDATE workrow.lines
            SET blocked_on = NULL, wake_at = clock_timestamp() + INTERVAL '1 second'
            WHERE line = ANY(aside);
        END IF;
    END IF;
    SELECT CASE
        WHEN EXISTS (
            SELECT
            FROM workrow.lines AS ready
            WHERE
                ready.blocked_on IS NULL
                AND ready.wake_at IS NULL
                AND ready.task_name = ANY(tasks)
                AND (queues IS NULL OR ready.queue_name = ANY(queues))
                AND ready.queue_name <> ALL(paused)
        ) OR EXISTS (SELECT FROM workrow.line_arrivals) OR EXISTS (SELECT FROM workrow.limit_calls) THEN 0
        ELSE extract(EPOCH FROM least(
            (SELECT min(waiting.wake_at) FROM workrow.lines AS waiting WHERE waiting.wake_at IS NOT NULL),
            (
                SELECT min(job.due_at)
                FROM procrastinate_jobs AS job
                WHERE job.status = 'todo' AND job.line IS NOT NULL AND job.due_at IS NOT NULL
            )
        )) - extract(EPOCH FROM clock_timestamp())
    END INTO soon;
    RETURN QUERY
    SELECT
        soon, job.id, job.queue_name, job.task_name, job.priority, job.lock, job.queueing_lock, job.args,
        job.scheduled_at, job.attempts, job.claims, job.crashes,
        CAST(extract(EPOCH FROM job.expires_at) - extract(EPOCH FROM clock_timestamp()) AS double precision), job.version
    FROM (SELECT) AS always
    LEFT JOIN procrastinate_jobs AS job ON job.id = ANY(ids)
    ORDER BY job.priority DESC, job.id;
END;
$$
