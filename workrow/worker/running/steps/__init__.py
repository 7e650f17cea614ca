"""Durable steps: what an attempt asks of its job's records, for async and sync tasks alike."""
