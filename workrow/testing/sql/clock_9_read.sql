GRANT SELECT, UPDATE ON SEQUENCE workrow_testing.clock_frozen TO PUBLIC
