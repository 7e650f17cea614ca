"""Celery's words in a project of Django's."""
