-- Microseconds since 1970 at which time stands still; NULL: it does not.
SELECT pg_sequence_last_value('workrow_testing.clock_frozen') AS frozen
