-- The calls that were not let through, each with the last job of its key that was.
CREATE OR REPLACE FUNCTION workrow.find_throttled_v1(
    keys text[], admitted integer[], OUT places integer[], OUT ids bigint[]
)
LANGUAGE sql
STABLE
AS $$
    SELECT array_agg(CAST(given.place AS integer)), array_agg(known.job_id)
    FROM unnest(keys) WITH ORDINALITY AS given (key, place)
    INNER JOIN workrow.throttles AS known ON known.key = given.key
    WHERE given.place <> ALL(admitted)
$$
