"""Entries of other schedulers become rows of ``workrow.celery_entries``."""
