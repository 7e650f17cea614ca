-- For how long the server has been up, in seconds.
SELECT CAST(extract(EPOCH FROM clock_timestamp() - pg_postmaster_start_time()) AS double precision) AS seconds
