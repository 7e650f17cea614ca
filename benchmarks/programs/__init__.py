"""What runs in a process of its own, with a peer's interpreter: its client, its worker, its tasks."""
