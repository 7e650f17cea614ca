"""The Celery door: what a task module written for Celery imports.

What it does is what Celery 5.7 was seen to do; the tables of that are run by ``tests/celery``. Nothing else of workrow
imports this package.
"""
