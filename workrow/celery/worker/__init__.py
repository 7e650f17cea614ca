"""Calls of Celery tasks on workrow's worker."""
