"""What is done to jobs and queues from outside."""
