"""What became of a job: its status, its result, and waiting for it."""
