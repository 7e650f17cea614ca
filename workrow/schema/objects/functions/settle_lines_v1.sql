-- What became of the lines that a claim looked at: those without jobs go, those that meet a full bucket wait for it, the
-- others have had their turn. Buckets with room left call who waits for them. many: others are ready, too. A line that got
-- jobs then stays so: when its turn comes again they may have ended, and to block and call it costs 5 us a job.
CREATE OR REPLACE FUNCTION workrow.settle_lines_v1(
    picked text[], rooms workrow.limit_room[], left_over double precision[], served text[], how_many integer,
    many boolean
) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    WITH own AS (
        SELECT
            line.line,
            max(named.weight) AS weight,
            min(named.bucket) FILTER (WHERE named.room < 1 AND named.again_at IS NULL) AS full_one,
            max(named.again_at) FILTER (WHERE named.room < 1) AS again_at,
            bool_or(named.room < 1 AND named.again_at IS NULL) AS held,
            min(named.bucket) FILTER (WHERE named.counted) AS counted
        FROM workrow.lines AS line
        CROSS JOIN unnest(line.buckets) AS bucket
        INNER JOIN unnest(rooms, left_over) AS named (bucket, had, weight, again_at, counted, tokens, asked_at, cell, room)
            ON named.bucket = bucket.bucket
        WHERE line.line = ANY(picked)
        GROUP BY line.line
    ),

    state AS (
        SELECT
            own.line,
            following.priority,
            own.full_one AS bucket,
            CASE WHEN NOT own.held THEN own.again_at END AS again_at,
            coalesce(had.n, 0) / own.weight AS step,
            own.counted
        FROM own
        LEFT JOIN (SELECT each, count(*) AS n FROM unnest(served) AS each GROUP BY each) AS had ON had.each = own.line
        LEFT JOIN LATERAL (
            SELECT job.priority
            FROM procrastinate_jobs AS job
            WHERE job.status = 'todo' AND job.line = own.line AND job.due_at IS NULL
            ORDER BY job.priority DESC
            LIMIT 1
        ) AS following ON true
    ),

    gone AS (
        DELETE FROM workrow.lines WHERE line = ANY(ARRAY(SELECT state.line FROM state WHERE state.priority IS NULL))
    )

    UPDATE workrow.lines AS line
    SET
        priority = state.priority,
        turn = line.turn + state.step,
        blocked_on = CASE
            WHEN state.again_at IS NOT NULL OR state.step > 0 AND many THEN NULL
            WHEN state.bucket IS NOT NULL THEN state.bucket
            WHEN state.step = 0 AND coalesce(cardinality(served), 0) < how_many THEN 'locks of ' || state.counted
        END,
        wake_at = CASE
            WHEN state.again_at IS NOT NULL THEN state.again_at
            -- a call that was lost (a worker died with it) is made up for
            WHEN state.bucket IS NOT NULL AND NOT (state.step > 0 AND many) THEN clock_timestamp() + (30 + 30 * random()) * INTERVAL '1 second'
            -- all that could run is behind locks, perhaps of others' jobs
            WHEN state.step = 0 AND coalesce(cardinality(served), 0) < how_many THEN clock_timestamp() + INTERVAL '0.2 seconds'
        END
    FROM state
    WHERE line.line = state.line AND state.priority IS NOT NULL;

    PERFORM workrow.wake_lines_v1(
        array_agg(each.bucket), array_agg(CAST(least(each.room, 1000) AS integer))
    )
    FROM unnest(rooms, left_over) AS each (bucket, had, weight, again_at, counted, tokens, asked_at, cell, room)
    WHERE each.room >= 1
    HAVING count(*) > 0;
END;
$$
