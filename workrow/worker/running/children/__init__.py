"""Child processes: the pool, one child, and what it answers."""
