"""A module that the app names in ``include``."""

from workrow.celery import shared_task


@shared_task(name="from_include")
def from_include() -> str:
    return "here"
