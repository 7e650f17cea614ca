-- Note what a throttle let through, and forget what its window has left behind.
CREATE OR REPLACE FUNCTION workrow.admitted_v1(rule jsonb, keys text[], places integer[], ids bigint[]) RETURNS void
LANGUAGE sql
AS $$
    UPDATE workrow.throttles AS known
    SET
        taken = ARRAY(
            SELECT earlier.at
            FROM unnest(known.taken) AS earlier (at)
            WHERE earlier.at > clock_timestamp() - CAST(rule ->> 'per' AS double precision) * INTERVAL '1 second'
        ) || array_fill(clock_timestamp(), ARRAY[let.through]),
        job_id = let.last_id
    FROM (
        SELECT keys[given.place] AS key, CAST(count(*) AS integer) AS through, max(given.id) AS last_id
        FROM unnest(places, ids) AS given (place, id)
        GROUP BY 1
    ) AS let
    WHERE known.key = let.key
$$
