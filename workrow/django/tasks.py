"""``TASKS = {"default": {"BACKEND": "workrow.django.tasks.WorkrowBackend"}}``.

Whoever imports the ``tasks`` of each installed app imports this one too; so the backend is only loaded when it is asked
for, and Django 5 need not have ``django.tasks``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workrow.django.backend import WorkrowBackend

__all__ = ["WorkrowBackend"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "WorkrowBackend":
            from workrow.django.backend import WorkrowBackend

            return WorkrowBackend
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
