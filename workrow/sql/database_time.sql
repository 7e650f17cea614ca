-- The one clock that all workers share, in seconds since 1970: how a time is written is the session's affair (DateStyle).
SELECT CAST(extract(EPOCH FROM clock_timestamp()) AS double precision) AS now
