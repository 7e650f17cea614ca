"""What a task is told: its options, retries, limits, schedule, hooks and resources."""
