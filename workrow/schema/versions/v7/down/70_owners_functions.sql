-- As they were: with the rights of who calls them.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT object FROM workrow.privileges_v1('worker') WHERE object_type = 'FUNCTION' LOOP
        EXECUTE format('ALTER FUNCTION %s SECURITY INVOKER RESET search_path', name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', name);
    END LOOP;
END
$$
