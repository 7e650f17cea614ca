"""What Django migrations do: bring the schema to a version, forward and backward; make the views' models known."""

from typing import Any

import psycopg
from django.apps import apps
from django.db import router
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState

import workrow.schema
from workrow.django import configuration
from workrow.errors import SchemaError

UPSTREAM = "procrastinate.contrib.django"


class Schema(Operation):
    """`workrow.schema.upgrade` on the way forward, `workrow.schema.downgrade` on the way back, of Django's connection.

    In the database that ``settings.WORKROW`` names, and in no other one.

    Args:
        to: the version to reach.
        back_to: the version to go back to; 0 removes everything, with the jobs.
    """

    reversible = True
    reduces_to_sql = False

    def __init__(self, to: int, back_to: int) -> None:
        self.to = to
        self.back_to = back_to

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing: Django knows no tables of ours."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Upgrade what is older; what is as new, or newer, is left alone."""
        connection = self._connection(app_label, schema_editor)
        if connection is None:
            return
        if apps.is_installed(UPSTREAM):
            _refuse_before_upstream(schema_editor.connection)
        if workrow.schema.status(connection).installed < self.to:
            workrow.schema.upgrade(connection, self.to)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Downgrade what is newer."""
        connection = self._connection(app_label, schema_editor)
        if connection is not None and workrow.schema.status(connection).installed > self.back_to:
            workrow.schema.downgrade(connection, self.back_to)

    def describe(self) -> str:
        """See Django."""
        return f"Bring workrow's schema to version {self.to}"

    def _connection(self, app_label: str, schema_editor: Any) -> psycopg.Connection[Any] | None:
        """psycopg's, in the transaction of the migration; None where there is nothing to do."""
        wrapper = schema_editor.connection
        if wrapper.alias != configuration.read().database or not router.allow_migrate(wrapper.alias, app_label):
            return None
        wrapper.ensure_connection()
        if not isinstance(wrapper.connection, psycopg.Connection):
            raise SchemaError(
                f"DATABASES[{wrapper.alias!r}] is {wrapper.vendor}: jobs are rows in PostgreSQL, and its driver is "
                'psycopg 3; give the alias of such a database, WORKROW = {"DATABASE": "…"}'
            )
        return wrapper.connection


class Views(Operation):
    """Lets ``makemigrations`` know the models of the views as they are now: that has nothing to do in the database, and
    no migration of ours is needed for a new column of a view."""

    reversible = True
    reduces_to_sql = False

    def state_forwards(self, app_label: str, state: Any) -> None:
        """See Django."""
        for model in apps.get_app_config(app_label).get_models():
            state.add_model(ModelState.from_model(model))

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Nothing."""

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Nothing."""

    def describe(self) -> str:
        """See Django."""
        return "Make the models of the views known"


def _refuse_before_upstream(wrapper: Any) -> None:
    """Its migrations make tables that are there already, after ours; ours adopt those of its own."""
    with wrapper.cursor() as cursor:
        if "procrastinate_jobs" not in wrapper.introspection.table_names(cursor):
            raise SchemaError(
                f"{UPSTREAM!r} is in INSTALLED_APPS, and its tables are not there yet: run `manage.py migrate "
                "procrastinate` first"
            )
