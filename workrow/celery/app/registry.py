"""Tasks by their names: what ``celery.app.registry`` has."""

from workrow.celery.registry import Registry as TaskRegistry

__all__ = ["TaskRegistry"]
