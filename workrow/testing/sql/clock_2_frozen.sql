-- Microseconds since 1970 at which time stands still; never called: it does not. A sequence, not a table: setval() is seen
-- at once by everybody, in the middle of a transaction too, and no rollback undoes it.
CREATE SEQUENCE workrow_testing.clock_frozen MINVALUE -9223372036854775808
