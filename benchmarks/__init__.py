"""Our figures beside raw SQL and the peers', in one run on one server: ``python -m benchmarks --help``."""
