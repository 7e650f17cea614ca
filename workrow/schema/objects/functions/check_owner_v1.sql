-- Refuse what grant_v1 and revoke_v1 cannot do.
CREATE OR REPLACE FUNCTION workrow.check_owner_v1(role_name text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    owner CONSTANT oid := (SELECT relowner FROM pg_catalog.pg_class WHERE oid = CAST('workrow.history' AS regclass));
    tables CONSTANT oid := (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = CAST('procrastinate_jobs' AS regclass));
BEGIN
    IF NOT pg_has_role(owner, 'USAGE') THEN
        RAISE 'the role % does not own the tables: % grants and revokes', quote_ident(current_user), pg_get_userbyid(owner)
            USING ERRCODE = 'WR002';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = check_owner_v1.role_name) THEN
        RAISE 'there is no role %: make it first, with CREATE ROLE', quote_nullable(check_owner_v1.role_name)
            USING ERRCODE = 'WR002';
    END IF;
    IF check_owner_v1.role_name = pg_get_userbyid(owner) THEN
        RAISE 'the role % owns the tables, and may do everything: grant to another one', quote_ident(check_owner_v1.role_name)
            USING ERRCODE = 'WR002';
    END IF;
    -- it could put functions there that those with the owner's rights would call
    IF has_schema_privilege('public', tables, 'CREATE') THEN
        RAISE 'everybody may create in schema %, where the tables are, and what they put there would run with the owner''s rights when granted roles call our functions: REVOKE CREATE ON SCHEMA % FROM PUBLIC first',
            CAST(tables AS regnamespace), CAST(tables AS regnamespace)
            USING ERRCODE = 'WR002';
    END IF;
END;
$$
