"""Django's connection of the thread that calls, as a connector of procrastinate's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import procrastinate
import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections
from django.utils.connection import ConnectionDoesNotExist, ConnectionProxy
from procrastinate.contrib.django.django_connector import DjangoConnector as UpstreamConnector
from procrastinate.contrib.django.utils import connector_params
from procrastinate.sync_psycopg_connector import wrap_exceptions
from psycopg.rows import dict_row
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.json import Jsonb, JsonbLoader

from workrow.enqueue.django_transaction import opened
from workrow.errors import ConfigurationError


class DjangoConnector(UpstreamConnector):
    """procrastinate's, which every call joins that names no transaction, for any task and any options.

    Args:
        alias: of the database.
    """

    @property
    def surrounding(self) -> ConnectionProxy:
        """Django's connection, whichever thread asks."""
        return ConnectionProxy(connections, self.alias)

    def execute_query(self, query: str, **arguments: Any) -> None:
        """See procrastinate."""
        with self._cursor() as cursor:
            cursor.execute(query.encode(), _wrapped(arguments))

    def execute_query_one(self, query: str, **arguments: Any) -> dict[str, Any]:
        """See procrastinate."""
        return self.execute_query_all(query, **arguments)[0]

    def execute_query_all(self, query: str, **arguments: Any) -> list[dict[str, Any]]:
        """See procrastinate."""
        with self._cursor() as cursor:
            return cursor.execute(query.encode(), _wrapped(arguments)).fetchall()

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor[dict[str, Any]]]:
        """One that reads jsonb and times as psycopg does, and not as Django does."""
        with wrap_exceptions():
            try:
                with opened(self.surrounding) as connection, psycopg.Cursor(connection, row_factory=dict_row) as cursor:
                    cursor.adapters.register_loader("jsonb", JsonbLoader)
                    cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
                    yield cursor
            except DatabaseError as error:
                if isinstance(error.__cause__, psycopg.Error):
                    raise error.__cause__ from None
                raise

    def get_worker_connector(self) -> procrastinate.PsycopgConnector:
        """Connections to the same database that are not Django's, for a worker and for who waits for results.

        Raises:
            ConfigurationError: settings.DATABASES has no such alias, or it is no PostgreSQL.
        """
        return procrastinate.PsycopgConnector(kwargs=_parameters(self.alias))


def _wrapped(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: _jsonb(value) for name, value in arguments.items()}


def _jsonb(value: Any) -> Any:
    if isinstance(value, dict):
        return Jsonb(value)
    return [_jsonb(each) for each in value] if isinstance(value, list) else value


def _parameters(alias: str) -> dict[str, Any]:
    """libpq's, of a database of Django's."""
    try:
        wrapper = connections[alias]
        if wrapper.vendor != "postgresql":
            raise ConfigurationError(
                f"DATABASES[{alias!r}] is {wrapper.vendor}: jobs are rows in PostgreSQL; give the alias of one, "
                'WORKROW = {"DATABASE": "…"}'
            )
        parameters = dict(connector_params(alias))
    except ConnectionDoesNotExist:
        raise ConfigurationError(
            f"settings.DATABASES has no {alias!r}: give the alias of the database that jobs are in, "
            'WORKROW = {"DATABASE": "…"}'
        ) from None
    except ImproperlyConfigured as error:
        raise ConfigurationError(f"DATABASES[{alias!r}]: {error}") from None
    if role := wrapper.settings_dict["OPTIONS"].get("assume_role"):
        parameters["options"] = f"{parameters.get('options', '')} -c role={role}".strip()
    return parameters
