"""What the settings say: ``WORKROW``, and procrastinate's ``PROCRASTINATE_…`` where it says nothing."""

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings as django_settings
from procrastinate.contrib.django.settings import settings as upstream

from workrow.errors import ConfigurationError, brief

KEYS = {
    "APP": (str, "the dotted path of a workrow.django.App, such as 'shop.jobs.app'"),
    "DATABASE": (str, "an alias of DATABASES"),
    "TASKS_MODULE": (str | None, "the name of a module that installed apps may have, or None"),
    "IMPORTS": (list | tuple, "a list of modules"),
    "OPTIONS": (dict, "a dict of workrow.App's arguments, such as {'keep_history': timedelta(days=30)}"),
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """What ``settings.WORKROW`` says.

    Attributes:
        app: the dotted path of the project's own app; None: it is made of what follows.
        database: the alias of the database that jobs are in.
        tasks_module: what is imported of each installed app, for the tasks that it declares; None: nothing is.
        imports: other modules that declare tasks.
        options: of the app.
    """

    app: str | None
    database: str
    tasks_module: str | None
    imports: tuple[str, ...]
    options: dict[str, Any] = field(repr=False)


def read() -> Configuration:
    """The settings as they are now.

    Raises:
        ConfigurationError: ``WORKROW`` is no dict, has an unknown key, or a value of the wrong type.
    """
    given = getattr(django_settings, "WORKROW", {})
    if not isinstance(given, dict):
        raise ConfigurationError(f"settings.WORKROW={brief(given)}: must be a dict, such as {{'DATABASE': 'default'}}")
    for key, value in given.items():
        if key not in KEYS:
            raise ConfigurationError(f"settings.WORKROW[{key!r}]: there is no such key; known are {', '.join(KEYS)}")
        kind, words = KEYS[key]
        if not isinstance(value, kind):
            raise ConfigurationError(f"settings.WORKROW[{key!r}]={brief(value)}: must be {words}")
    defaults = {"worker_defaults": upstream.WORKER_DEFAULTS, "periodic_defaults": upstream.PERIODIC_DEFAULTS}
    return Configuration(
        app=given.get("APP"),
        database=given.get("DATABASE", upstream.DATABASE_ALIAS),
        tasks_module=given.get("TASKS_MODULE", upstream.AUTODISCOVER_MODULE_NAME),
        imports=(*given.get("IMPORTS", ()), *upstream.IMPORT_PATHS),
        options={**{name: value for name, value in defaults.items() if value}, **given.get("OPTIONS", {})},
    )
