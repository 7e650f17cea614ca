GRANT SELECT ON SEQUENCE workrow_testing.clock_frozen TO PUBLIC
