"""The Django app: what happens when the project starts."""

from django.apps import AppConfig
from django.core import checks


class WorkrowConfig(AppConfig):
    """``INSTALLED_APPS += ["workrow.django"]``."""

    name = "workrow.django"
    label = "workrow"
    verbose_name = "Background jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Make the app and let it know the project's tasks."""
        from workrow.django.checks import check_configuration, problems
        from workrow.django.discovery import discover

        checks.register(check_configuration)
        if not problems():  # else the check says it, in words and not in a traceback
            discover()
