SELECT setval('workrow_testing.clock_frozen', coalesce(%(frozen)s::bigint, 1), %(frozen)s::bigint IS NOT NULL)
