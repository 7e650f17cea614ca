"""What task modules import from ``celery.utils``."""

from uuid import uuid4


def uuid() -> str:
    """A new id for a call."""
    return str(uuid4())
