-- Take back what grant_v1 gave: of one kind, or of all (NULL). What another kind of the same role needs stays.
-- Returns whether anything was granted.
CREATE OR REPLACE FUNCTION workrow.revoke_v1(role_name text, kind text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    gone text[];
    given record;
BEGIN
    PERFORM workrow.check_owner_v1(revoke_v1.role_name);
    WITH taken AS (
        DELETE FROM workrow.granted_roles AS known
        WHERE known.role_name = revoke_v1.role_name AND known.kind = coalesce(revoke_v1.kind, known.kind)
        RETURNING known.kind
    )
    SELECT array_agg(taken.kind) INTO gone FROM taken;
    FOR given IN
        SELECT DISTINCT each.object_type, each.object
        FROM unnest(gone) AS taken (kind)
        CROSS JOIN LATERAL workrow.privileges_v1(taken.kind) AS each
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
    RETURN gone IS NOT NULL;
END;
$$
