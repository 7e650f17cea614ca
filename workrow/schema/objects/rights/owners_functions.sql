-- These functions run with the rights of their owner, so that who may call them needs none on the tables: a role may cancel
-- a job and yet not delete one. They look for names only where the tables are, and in pg_temp last, where everybody may
-- create. workrow_testing is the test kit's clock.
DO $rights$
DECLARE
    path CONSTANT text := (
        SELECT string_agg(quote_ident(place.name), ', ' ORDER BY place.n) || ', pg_temp'
        FROM unnest(current_schemas(false)) WITH ORDINALITY AS place (name, n)
        WHERE
            place.name IN ('workrow_testing', 'pg_catalog')
            OR place.name = (
                SELECT nspname
                FROM pg_catalog.pg_class
                INNER JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
                WHERE pg_class.oid = CAST('procrastinate_jobs' AS regclass)
            )
    );
    name text;
BEGIN
    FOR name IN
        SELECT DISTINCT needed.object
        FROM unnest(ARRAY['producer', 'worker', 'operator']) AS role (kind)
        CROSS JOIN LATERAL workrow.privileges_v1(role.kind) AS needed
        WHERE needed.object_type = 'FUNCTION'
    LOOP
        EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %s', name, path);
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', name);
    END LOOP;
END
$rights$
