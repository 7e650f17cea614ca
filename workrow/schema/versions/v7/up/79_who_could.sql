-- Who may delete jobs could do all that the functions with their owner's rights do: it keeps them.
DO $$
DECLARE
    needed record;
BEGIN
    FOR needed IN
        SELECT DISTINCT each.object, CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END AS role
        FROM pg_catalog.pg_class
        CROSS JOIN LATERAL aclexplode(relacl) AS acl
        CROSS JOIN LATERAL workrow.privileges_v1('worker') AS each
        WHERE
            pg_class.oid = CAST('procrastinate_jobs' AS regclass)
            AND acl.privilege_type = 'DELETE'
            AND acl.grantee <> relowner
            AND each.object_type = 'FUNCTION'
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', needed.object, needed.role);
    END LOOP;
END
$$
