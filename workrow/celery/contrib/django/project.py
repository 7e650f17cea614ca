"""What an app does of itself where ``DJANGO_SETTINGS_MODULE`` names a project's settings."""

import os
from typing import Any

from workrow.celery import signals


def is_named() -> bool:
    """Whether this is a process of a project."""
    return bool(os.environ.get("DJANGO_SETTINGS_MODULE"))


def set_up() -> None:
    """For a worker: load the project, and let no run of a task have a connection that is too old or broken."""
    import django

    django.setup()
    for signal in (signals.task_prerun, signals.task_postrun):
        signal.connect(_close_old, dispatch_uid="workrow.celery.contrib.django")


def _close_old(task: Any = None, **_: Any) -> None:
    if not task.request.is_eager:
        from django.db import close_old_connections

        close_old_connections()
