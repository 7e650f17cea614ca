-- Calls come over the bridge from Celery: each is written if its key was not there yet. Whoever writes a key that
-- somebody else is writing waits for that transaction, so that of two only one counts. Returns the keys that were new.
CREATE OR REPLACE FUNCTION workrow.celery_move_v1(moves jsonb, came text) RETURNS text[]
LANGUAGE plpgsql
AS $$
DECLARE
    fresh text[];
BEGIN
    WITH written AS (
        INSERT INTO workrow.celery_bridge_moves (key, task, came)
        SELECT DISTINCT ON (given.key) given.key, given.task, celery_move_v1.came
        FROM jsonb_to_recordset(moves) AS given (key text, task text)
        ORDER BY given.key
        ON CONFLICT (key) DO NOTHING
        RETURNING key
    )
    SELECT coalesce(array_agg(key), '{}') INTO fresh FROM written;
    PERFORM workrow.celery_write_v1(array_agg(given.value -> 'effects' ORDER BY given.n))
    FROM (
        SELECT DISTINCT ON (value ->> 'key') value, n
        FROM jsonb_array_elements(moves) WITH ORDINALITY AS all_given (value, n)
        WHERE value ->> 'key' = ANY(fresh) AND value ? 'effects'
        ORDER BY value ->> 'key', n
    ) AS given
    HAVING count(*) > 0;
    RETURN fresh;
END;
$$
