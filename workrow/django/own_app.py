"""The app of a Django project: its jobs are written on Django's connection."""

from functools import cache
from typing import Any

from django.utils.module_loading import import_string
from procrastinate.contrib.django.db_cleanup import with_db_cleanup

import workrow
from workrow.django import configuration
from workrow.django.connector import DjangoConnector
from workrow.errors import ConfigurationError


class App(workrow.App):
    """A `workrow.App` whose jobs are written on Django's connection, in the transaction that is open there.

    Its workers have connections of their own to the same database, and close Django's when a task has ended, as Django
    does after a request.

    Args:
        database: the alias of the database; by default what ``settings.WORKROW`` says, or "default".
        **options: of `workrow.App`, without ``url`` and ``connector``.

    Raises:
        ConfigurationError: an option cannot work, or names another database.
    """

    around_child = "workrow.django.children:around"

    def __init__(self, database: str | None = None, **options: Any) -> None:
        if others := sorted({"url", "connector"} & options.keys()):
            raise ConfigurationError(
                f"workrow.django.App({others[0]}=…): the database is Django's; give its alias, App('default'), or make "
                "a workrow.App, whose jobs do not join Django's transactions"
            )
        alias = configuration.read().database if database is None else database
        options["worker_defaults"] = with_db_cleanup(options.get("worker_defaults"))
        super().__init__(connector=DjangoConnector(alias), **options)


@cache
def the_app() -> App:
    """The app that ``settings.WORKROW`` names, or one that is made of what it says.

    Raises:
        ConfigurationError: it cannot be imported, or is something else.
    """
    told = configuration.read()
    if told.app is None:
        return App(told.database, **told.options)
    try:
        found = import_string(told.app)
    except ImportError as error:
        raise ConfigurationError(
            f"settings.WORKROW['APP']={told.app!r} cannot be imported ({error}): give the dotted path of a "
            "workrow.django.App"
        ) from error
    if not isinstance(found, App):
        raise ConfigurationError(
            f"settings.WORKROW['APP']={told.app!r} is a {type(found).__name__}: make it with workrow.django.App()"
        )
    return found
