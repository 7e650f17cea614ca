-- Take back what grant_v1 gave: of one kind, or of all (NULL), listed or not: a downgrade below version 7 forgets the list. What
-- another kind that the role is listed for needs stays. Returns whether the role could look into the schema, as every kind can.
CREATE OR REPLACE FUNCTION workrow.revoke_v1(role_name text, kind text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    had CONSTANT boolean := EXISTS (
        SELECT FROM pg_catalog.pg_namespace
        CROSS JOIN LATERAL aclexplode(nspacl) AS acl
        WHERE pg_namespace.oid = CAST('workrow' AS regnamespace) AND acl.grantee = to_regrole(quote_ident(revoke_v1.role_name))
    );
    given record;
BEGIN
    PERFORM workrow.check_owner_v1(revoke_v1.role_name);
    DELETE FROM workrow.granted_roles AS known
    WHERE known.role_name = revoke_v1.role_name AND known.kind = coalesce(revoke_v1.kind, known.kind);
    FOR given IN
        SELECT DISTINCT each.object_type, each.object
        FROM unnest(ARRAY['producer', 'worker', 'operator', 'viewer']) AS taken (kind)
        CROSS JOIN LATERAL workrow.privileges_v1(taken.kind) AS each
        WHERE taken.kind = coalesce(revoke_v1.kind, taken.kind)
    LOOP
        CONTINUE WHEN given.object_type = 'SCHEMA' AND NOT pg_has_role(
            (SELECT nspowner FROM pg_catalog.pg_namespace WHERE oid = CAST(given.object AS regnamespace)), 'USAGE'
        );
        -- those of columns go with those of their table
        EXECUTE format(
            'REVOKE ALL ON %s %s FROM %I',
            replace(given.object_type, 'VIEW', 'TABLE'), given.object, revoke_v1.role_name
        );
    END LOOP;
    PERFORM workrow.grant_v1(known.role_name, known.kind)
    FROM workrow.granted_roles AS known
    WHERE known.role_name = revoke_v1.role_name;
    RETURN had;
END;
$$
