-- Insert the jobs of these calls whose keys are free, in the order of the keys, so that two transactions with the same
-- keys do not wait for each other; ids are in the order of the calls. Returns the calls and the new ids.
CREATE OR REPLACE FUNCTION workrow.insert_once_v1(
    same procrastinate_jobs, rule jsonb, args jsonb, keys text[], lines text[], wanted integer[], lifetime interval
) RETURNS TABLE (place integer, id bigint)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    live boolean := rule ->> 'kind' = 'live';
    waiting boolean := rule ->> 'kind' = 'waiting';
    start timestamptz := same.scheduled_at;
BEGIN
    IF rule ? 'wait' THEN
        start := clock_timestamp() + CAST(rule ->> 'wait' AS double precision) * INTERVAL '1 second';
    END IF;
    RETURN QUERY
    WITH numbered AS MATERIALIZED (
        SELECT
            CAST(given.place AS integer) AS place, given.key, given.line, given.args,
            nextval('procrastinate_jobs_id_seq') AS id
        FROM (
            SELECT call.place, call.key, call.line, call.args
            FROM ROWS FROM (unnest(keys), unnest(lines), jsonb_array_elements(args))
                WITH ORDINALITY AS call (key, line, args, place)
            WHERE wanted IS NULL OR call.place = ANY(wanted)
            ORDER BY call.place
        ) AS given
    ),
    inserted AS (
        INSERT INTO procrastinate_jobs (
            id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, version, unique_key, expires_at,
            line, due_at
        )
        SELECT
            numbered.id, same.queue_name, same.task_name, same.priority, same.lock,
            CASE WHEN waiting THEN 'unique:' || numbered.key ELSE same.queueing_lock END,
            numbered.args,
            CASE WHEN numbered.line IS NULL THEN start ELSE {far_future} END,
            same.version,
            CASE WHEN live THEN numbered.key END,
            coalesce(coalesce(start, clock_timestamp()) + lifetime, same.expires_at),
            numbered.line,
            CASE WHEN numbered.line IS NULL THEN NULL ELSE start END
        FROM numbered
        ORDER BY numbered.key COLLATE "C", numbered.id
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    SELECT numbered.place, numbered.id
    FROM numbered
    INNER JOIN inserted ON inserted.id = numbered.id;
END;
$$
