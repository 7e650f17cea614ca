CREATE FUNCTION workrow_testing.clock_timestamp() RETURNS timestamptz
LANGUAGE sql
VOLATILE PARALLEL SAFE
AS $$ SELECT workrow_testing.moved(pg_catalog.clock_timestamp()) $$
