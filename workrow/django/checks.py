"""``manage.py check``: what is wrong with the settings."""

from typing import Any

from django.core.checks import CheckMessage, Error
from django.db import connections

from workrow.django import configuration
from workrow.errors import ConfigurationError


def check_configuration(app_configs: Any = None, **others: Any) -> list[CheckMessage]:
    """Of the settings alone; no connection is made."""
    return problems() or _of_app()


def problems() -> list[CheckMessage]:
    """What keeps the app from being made."""
    try:
        told = configuration.read()
    except ConfigurationError as error:
        return [Error(str(error), id="workrow.E001")]
    if told.database not in connections:
        known = ", ".join(repr(each) for each in connections)
        hint = f'Give one of {known}: WORKROW = {{"DATABASE": …}}.'
        return [Error(f"DATABASES has no {told.database!r}, which jobs are to be in.", hint=hint, id="workrow.E002")]
    vendor = connections[told.database].vendor
    if vendor != "postgresql":
        return [
            Error(
                f"DATABASES[{told.database!r}] is {vendor}, and jobs are rows in PostgreSQL.",
                hint='Give the alias of one: WORKROW = {"DATABASE": …}, ENGINE: django.db.backends.postgresql.',
                id="workrow.E003",
            )
        ]
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    if not is_psycopg3:
        hint = 'pip install "psycopg[binary]": Django prefers it.'
        return [Error("Django's driver for PostgreSQL is psycopg2.", hint=hint, id="workrow.E004")]
    return []


def _of_app() -> list[CheckMessage]:
    from workrow.django.own_app import the_app

    try:
        the_app()
    except ConfigurationError as error:
        return [Error(str(error), id="workrow.E005")]
    return []
