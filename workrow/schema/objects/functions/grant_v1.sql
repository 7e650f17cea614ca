-- Give a role what its kind needs, now and after each upgrade; only what it lacks is written.
CREATE OR REPLACE FUNCTION workrow.grant_v1(role_name text, kind text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    needed record;
BEGIN
    IF grant_v1.kind IS NULL OR grant_v1.kind NOT IN ('producer', 'worker', 'operator', 'viewer') THEN
        RAISE 'there is no kind % of role: give producer, worker, operator or viewer', quote_nullable(grant_v1.kind)
            USING ERRCODE = 'WR002';
    END IF;
    PERFORM workrow.check_owner_v1(grant_v1.role_name);
    INSERT INTO workrow.granted_roles (role_name, kind) VALUES (grant_v1.role_name, grant_v1.kind) ON CONFLICT DO NOTHING;
    FOR needed IN SELECT * FROM workrow.privileges_v1(grant_v1.kind) LOOP
        -- the schema of the tables may be another's, and everybody's to look into, as public is
        CONTINUE WHEN needed.object_type = 'SCHEMA' AND NOT pg_has_role(
            (SELECT nspowner FROM pg_catalog.pg_namespace WHERE oid = CAST(needed.object AS regnamespace)), 'USAGE'
        );
        EXECUTE format(
            'GRANT %s %s ON %s %s TO %I',
            needed.privilege,
            '(' || (SELECT string_agg(quote_ident(name), ', ') FROM unnest(needed.columns) AS name) || ')',
            replace(needed.object_type, 'VIEW', 'TABLE'),
            needed.object,
            grant_v1.role_name
        );
    END LOOP;
END;
$$
