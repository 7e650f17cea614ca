CREATE FUNCTION workrow_testing.transaction_timestamp() RETURNS timestamptz
LANGUAGE sql
STABLE PARALLEL SAFE
AS $$ SELECT workrow_testing.moved(pg_catalog.transaction_timestamp()) $$
