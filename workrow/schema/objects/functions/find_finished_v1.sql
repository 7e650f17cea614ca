-- Of these calls those whose key a job has that was enqueued within the rule's time and has ended, and that job's id.
CREATE OR REPLACE FUNCTION workrow.find_finished_v1(
    rule jsonb, keys text[], wanted integer[], OUT places integer[], OUT ids bigint[]
)
LANGUAGE plpgsql
AS $$
DECLARE
    span interval := CAST(rule ->> 'within' AS double precision) * INTERVAL '1 second';
    since timestamptz := clock_timestamp() - span;
    ends procrastinate_job_status[] := ARRAY(
        SELECT CAST(state AS procrastinate_job_status) FROM jsonb_array_elements_text(rule -> 'states') AS each (state)
    );
BEGIN
    SELECT array_agg(CAST(given.place AS integer)), array_agg(past.id) INTO places, ids
    FROM unnest(keys) WITH ORDINALITY AS given (key, place)
    CROSS JOIN LATERAL (
        SELECT history.id
        FROM workrow.history
        WHERE
            history.unique_key = given.key
            AND history.created_at > since
            -- later ones are of before the clock was set back
            AND history.created_at < clock_timestamp() + span
            AND history.finished_at > since
            AND history.status = ANY(ends)
        ORDER BY history.created_at DESC
        LIMIT 1
    ) AS past
    WHERE wanted IS NULL OR given.place = ANY(wanted);
END;
$$
