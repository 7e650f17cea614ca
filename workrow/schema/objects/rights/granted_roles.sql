-- What roles were granted, once more: for what this upgrade has made, or made anew.
DO $rights$
BEGIN
    DELETE FROM workrow.granted_roles
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name);
    PERFORM workrow.grant_v1(role_name, kind) FROM workrow.granted_roles;
END
$rights$
