-- Ours before pg_catalog, which would come first if it were not named.
ALTER DATABASE {database} SET search_path = "$user", public, workrow_testing, pg_catalog
