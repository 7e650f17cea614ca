-- One database of one server, whichever way leads to it: through poolers and sockets it has other addresses.
SELECT CAST(d.oid AS text) AS database, CAST(extract(EPOCH FROM pg_postmaster_start_time()) AS text) AS server
FROM pg_database AS d
WHERE d.datname = current_database()
