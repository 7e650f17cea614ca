-- Enqueue the jobs of schedules that are due, and move these on, in one statement: nothing is locked before it or after. A
-- schedule is as find_due_schedules has "seen" it, or somebody else has dealt with it ("moved"). What somebody's open
-- transaction holds keeps its schedule as it is ("held"), and no other: from then on a statement waits "brief" milliseconds, as it does for
-- "suspects", which come last. The others are "done": a row for each of their jobs, or one without a job.
CREATE OR REPLACE FUNCTION workrow.tick_schedules_v1(ticks jsonb, brief integer)
RETURNS TABLE (name text, state text, call integer, place integer, job_id bigint, verdict text, error text[], cap bigint[])
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    tick jsonb;
    made jsonb;
BEGIN
    FOR tick IN SELECT given.value FROM jsonb_array_elements(ticks) WITH ORDINALITY AS given (value, n) ORDER BY given.n LOOP
        IF tick ? 'suspect' THEN
            PERFORM set_config('lock_timeout', CAST(brief AS text), true);
        END IF;
        PERFORM FROM workrow.timetable AS known
        WHERE known.name = tick ->> 'name' AND CAST(known.xmin AS text) = tick ->> 'seen'
        FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN QUERY SELECT
                tick ->> 'name', 'moved', CAST(NULL AS integer), CAST(NULL AS integer), CAST(NULL AS bigint), CAST(NULL AS text),
                CAST(NULL AS text[]), CAST(NULL AS bigint[]);
            CONTINUE;
        END IF;
        BEGIN
            SELECT jsonb_agg(to_jsonb(each_job) || jsonb_build_object('call', given.n)) INTO made
            FROM jsonb_array_elements(tick -> 'calls') WITH ORDINALITY AS given (value, n)
            CROSS JOIN LATERAL workrow.tick_call_v1(given.value) AS each_job;
            UPDATE workrow.timetable AS known
            SET
                last_tick = greatest(known.last_tick, CAST(tick ->> 'last_tick' AS timestamptz)),
                next_due = CAST(tick ->> 'next_due' AS timestamptz),
                last_due = coalesce(latest.due, known.last_due),
                last_job_id = coalesce(latest.job_id, known.last_job_id),
                skipped = known.skipped + CAST(tick ->> 'skipped' AS bigint),
                last_skipped = coalesce(CAST(tick ->> 'last_skipped' AS timestamptz), known.last_skipped),
                skip_reason = coalesce(tick ->> 'skip_reason', known.skip_reason)
            FROM (VALUES (1)) AS always (one)
            LEFT JOIN LATERAL (
                SELECT
                    CAST(given.value -> 'due' ->> (CAST(job ->> 'place' AS integer) - 1) AS timestamptz) AS due,
                    CAST(job ->> 'job_id' AS bigint) AS job_id
                FROM jsonb_array_elements(made) AS job
                INNER JOIN jsonb_array_elements(tick -> 'calls') WITH ORDINALITY AS given (value, n)
                    ON given.n = CAST(job ->> 'call' AS bigint)
                WHERE job ->> 'verdict' = 'created' OR job ->> 'verdict' = 'found' AND given.value ? 'found_counts'
                ORDER BY due DESC
                LIMIT 1
            ) AS latest ON true
            WHERE known.name = tick ->> 'name';
        EXCEPTION WHEN serialization_failure OR deadlock_detected OR lock_not_available THEN
            made := NULL;
            PERFORM set_config('lock_timeout', CAST(brief AS text), true);
            RETURN QUERY SELECT
                tick ->> 'name', 'held', CAST(NULL AS integer), CAST(NULL AS integer), CAST(NULL AS bigint), CAST(NULL AS text),
                CAST(NULL AS text[]), CAST(NULL AS bigint[]);
            CONTINUE;
        END;
        RETURN QUERY
        SELECT tick ->> 'name', 'done', job.call, job.place, job.job_id, job.verdict, job.error, job.cap
        FROM (VALUES (1)) AS always (one)
        LEFT JOIN jsonb_to_recordset(made) AS job (
            call integer, place integer, job_id bigint, verdict text, error text[], cap bigint[]
        ) ON true;
    END LOOP;
END;
$$
