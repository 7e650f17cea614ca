-- Enqueue jobs of a schedule that differ in nothing but their arguments: "call" holds what enqueue_once.sql asks for. Where
-- they are refused together, each alone. One row for each; "error" is the SQLSTATE and the message of one that cannot be
-- enqueued, "cap" the queue's, and how many jobs wait in it, where that is full. Raises what says nothing of the jobs.
CREATE OR REPLACE FUNCTION workrow.tick_call_v1(call jsonb)
RETURNS TABLE (place integer, job_id bigint, verdict text, error text[], cap bigint[])
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    total CONSTANT integer := jsonb_array_length(call -> 'args');
    done jsonb;
    refused text;
    why text[];
BEGIN
    BEGIN
        SELECT jsonb_agg(to_jsonb(made)) INTO done
        FROM workrow.enqueue_once_v1(
            CASE
                WHEN call ->> 'delay' IS NULL THEN call -> 'job'
                ELSE (call -> 'job') || jsonb_build_object(
                    'scheduled_at',
                    statement_timestamp() + CAST(call ->> 'delay' AS double precision) * INTERVAL '1 second'
                )
            END,
            call -> 'rule',
            call -> 'args',
            ARRAY(SELECT key.value FROM jsonb_array_elements_text(call -> 'keys') WITH ORDINALITY AS key (value, n) ORDER BY n),
            ARRAY(SELECT line.value FROM jsonb_array_elements_text(call -> 'lines') WITH ORDINALITY AS line (value, n) ORDER BY n)
        ) AS made;
        refused := done -> 0 ->> 'verdict';
        IF refused IN ('created', 'found') THEN
            refused := NULL;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        IF workrow.is_passing_v1(SQLSTATE) THEN
            RAISE;
        END IF;
        refused := 'error';
        why := ARRAY[SQLSTATE, SQLERRM];
    END;
    IF refused IS NULL THEN
        RETURN QUERY
        SELECT made.place, made.job_id, made.verdict, CAST(NULL AS text[]), CAST(NULL AS bigint[])
        FROM jsonb_to_recordset(done) AS made (place integer, job_id bigint, verdict text)
        ORDER BY made.place;
    ELSIF total > 1 THEN
        RETURN QUERY
        SELECT CAST(one.n AS integer), alone.job_id, alone.verdict, alone.error, alone.cap
        FROM generate_series(1, total) AS one (n)
        CROSS JOIN LATERAL workrow.tick_call_v1(
            call || jsonb_build_object(
                'args', jsonb_build_array(call -> 'args' -> (one.n - 1)),
                'keys', jsonb_path_query_array(call -> 'keys', '$[$n]', jsonb_build_object('n', one.n - 1)),
                'lines', jsonb_path_query_array(call -> 'lines', '$[$n]', jsonb_build_object('n', one.n - 1))
            )
        ) AS alone
        ORDER BY one.n;
    ELSE
        RETURN QUERY
        SELECT
            1, CAST(done -> 0 ->> 'job_id' AS bigint), refused, why,
            (
                SELECT ARRAY[CAST(full_one.max_depth AS bigint), CAST(full_one.depth AS bigint)]
                FROM workrow.caps AS full_one
                WHERE
                    refused IN ('full', 'locked')
                    AND full_one.queue = call -> 'job' ->> 'queue_name'
                    AND full_one.depth + CASE
                        WHEN call ->> 'delay' IS NULL AND call -> 'job' ->> 'scheduled_at' IS NULL THEN 1
                        ELSE 0
                    END > full_one.max_depth
            );
    END IF;
END;
$$
