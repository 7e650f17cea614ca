"""Writing the ends of jobs."""
