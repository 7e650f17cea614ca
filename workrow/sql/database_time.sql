-- The one clock that all workers share.
SELECT clock_timestamp() AS now
