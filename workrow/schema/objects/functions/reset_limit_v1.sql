-- Forget what was set at run time, for all keys ('') or one: what the code declares holds again. What is held back for a time
-- starts again; without a key, that of every key. Returns whether there was anything.
CREATE OR REPLACE FUNCTION workrow.reset_limit_v1(limit_name text, limit_key text DEFAULT '') RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    of_key text := coalesce(limit_key, '');
    was_set boolean;
BEGIN
    DELETE FROM workrow.limit_rules WHERE name = limit_name AND key = of_key AND source = 'set';
    was_set := FOUND;
    DELETE FROM workrow.limit_holds
    WHERE
        until > clock_timestamp()
        AND split_part(bucket, '=', 1) = limit_name
        AND (of_key = '' OR bucket = limit_name || '=' || of_key);
    was_set := was_set OR FOUND;
    IF was_set THEN
        PERFORM workrow.call_limit_v1(limit_name);
    END IF;
    RETURN was_set;
END;
$$
