-- Forget what was set at run time, for all keys ('') or one: what the code declares holds again. Returns whether anything
-- was set.
CREATE OR REPLACE FUNCTION workrow.reset_limit_v1(limit_name text, limit_key text DEFAULT '') RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM workrow.limit_rules WHERE name = limit_name AND key = coalesce(limit_key, '') AND source = 'set';
    IF FOUND THEN
        PERFORM workrow.call_limit_v1(limit_name);
    END IF;
    RETURN FOUND;
END;
$$
