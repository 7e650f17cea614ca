"""Holds the Celery door, or Celery itself, to tables of what Celery was seen to do.

    python -m tests.celery.conformance --canvas FILE --behaviour FILE

Each row is an experiment, made with worker processes; what is seen is compared with what the table has.
"""
