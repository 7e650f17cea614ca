CREATE FUNCTION workrow_testing.statement_timestamp() RETURNS timestamptz
LANGUAGE sql
STABLE PARALLEL SAFE
AS $$ SELECT workrow_testing.moved(pg_catalog.statement_timestamp()) $$
