-- Who may delete jobs could do all that the functions with their owner's rights do: it keeps them. Who may enqueue may hide
-- arguments, and who may delete jobs may do to that table what the start of a worker asks for.
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
    FOR needed IN
        SELECT DISTINCT
            CASE WHEN acl.privilege_type = 'DELETE' THEN 'SELECT, INSERT, UPDATE, DELETE'
                ELSE 'SELECT (task_name, name), INSERT (task_name, name)' END AS privileges,
            CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END AS role
        FROM pg_catalog.pg_class
        CROSS JOIN LATERAL (
            SELECT * FROM aclexplode(relacl)
            UNION ALL
            SELECT of_column.*
            FROM pg_catalog.pg_attribute
            CROSS JOIN LATERAL aclexplode(attacl) AS of_column
            WHERE attrelid = pg_class.oid
        ) AS acl
        WHERE
            pg_class.oid = CAST('procrastinate_jobs' AS regclass)
            AND acl.privilege_type IN ('INSERT', 'DELETE')
            AND acl.grantee <> relowner
    LOOP
        EXECUTE format('GRANT %s ON workrow.hidden_arguments TO %s', needed.privileges, needed.role);
    END LOOP;
END
$$
