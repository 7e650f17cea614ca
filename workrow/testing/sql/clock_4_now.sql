CREATE FUNCTION workrow_testing.now() RETURNS timestamptz
LANGUAGE sql
STABLE PARALLEL SAFE
AS $$ SELECT workrow_testing.moved(pg_catalog.now()) $$
