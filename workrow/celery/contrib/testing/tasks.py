"""A task that tells whether a worker runs."""

from workrow.celery.registry import shared_task


@shared_task(name="celery.ping")  # type: ignore[untyped-decorator]
def ping() -> str:
    """Returns ``pong``."""
    return "pong"
