"""The Celery door: what a task module written for Celery imports. Not finished, and nothing of it is promised yet.

Here are the parts that need no database: signatures and canvases, what follows from the end of a task, results, errors,
JSON, schedules. The app that puts them on the engine is still to come. All of it does what Celery 5.7 was seen to do:
``tests/celery`` runs the tables of that.
"""
