"""What task modules import from ``celery.utils``."""
