"""Workflows: tasks that follow each other, as values; once enqueued, rows that are no jobs before their turn."""
