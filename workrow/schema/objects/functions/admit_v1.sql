-- The calls that a throttle lets through: of each key the first ones, as many as its window has room for. The row of a
-- key is held until the caller's transaction ends.
CREATE OR REPLACE FUNCTION workrow.admit_v1(rule jsonb, keys text[]) RETURNS integer[]
LANGUAGE plpgsql
AS $$
DECLARE
    most integer := CAST(rule ->> 'limit' AS integer);
    per interval := CAST(rule ->> 'per' AS double precision) * INTERVAL '1 second';
    wanted record;
    recent timestamptz[];
    admitted integer[] := '{}';
BEGIN
    FOR wanted IN
        SELECT given.key, array_agg(CAST(given.place AS integer) ORDER BY given.place) AS places
        FROM unnest(keys) WITH ORDINALITY AS given (key, place)
        GROUP BY given.key
        -- in the same order in every transaction, so that no two of them wait for each other
        ORDER BY given.key COLLATE "C"
    LOOP
        INSERT INTO workrow.throttles AS known (key, taken, over_at)
        VALUES (wanted.key, '{}', clock_timestamp() + per)
        ON CONFLICT (key) DO UPDATE SET
            over_at = clock_timestamp() + per,
            taken = CASE
                -- the clock was set back: what is still to come was now
                WHEN known.over_at > clock_timestamp() + per
                    THEN ARRAY(SELECT least(past.at, clock_timestamp()) FROM unnest(known.taken) AS past (at))
                ELSE known.taken
            END
        RETURNING known.taken INTO recent;
        recent := ARRAY(SELECT taken.at FROM unnest(recent) AS taken (at) WHERE taken.at > clock_timestamp() - per);
        admitted := admitted || wanted.places[1:greatest(0, most - cardinality(recent))];
    END LOOP;
    RETURN admitted;
END;
$$
