"""Where statements go: a URL, a connection of psycopg or SQLAlchemy, or alembic's ``op``."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, runtime_checkable

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from workrow.database import session
from workrow.database.privileges import ANY, refused
from workrow.database.urls import libpq_url, unavailable
from workrow.errors import DatabaseUnavailable, SchemaError, UpstreamMismatch

CONNECT_TIMEOUT = 10
"""Seconds until a server that does not answer counts as down."""

OLD_UPSTREAM = "WR001"
"""The SQLSTATE with which 03_upstream.sql refuses a procrastinate schema that is too old."""
CANNOT_GRANT = "WR002"
"""That with which check_owner_v1 refuses a grant."""
_WORDS: dict[Any, type[SchemaError]] = {OLD_UPSTREAM: UpstreamMismatch, CANNOT_GRANT: SchemaError}


@runtime_checkable
class AlembicOperations(Protocol):
    """The part of alembic's ``op`` that is used here; the engine does not import alembic."""

    def get_bind(self) -> Any: ...

    def get_context(self) -> Any: ...


Target = str | sa.Connection | psycopg.Connection[Any] | AlembicOperations

Run = Callable[[str], Sequence[Any]]
"""Runs one statement and returns its rows."""


def wait_for_locks(seconds: float) -> str:
    """The statement after which each one of the transaction waits no longer than this for a lock."""
    return f"SET LOCAL lock_timeout = {round(seconds * 1000)}"


@contextmanager
def opened(target: Target) -> Iterator[Run]:
    """A way to run statements on ``target``, all in one transaction.

    The caller's own connection joins the caller's transaction, except an autocommit one of psycopg, which gets one.

    Raises:
        ConfigurationError: the URL is malformed.
        DatabaseUnavailable: nothing answers at the URL, or no longer.
        SchemaError: ``target`` is nothing of the above, or cannot keep a transaction.
    """
    if isinstance(target, str):
        connection = connect(target)
        try:
            with connection:
                yield _on_psycopg(connection)
        except psycopg.OperationalError as error:
            if not connection.broken:
                raise
            raise DatabaseUnavailable(unavailable(target, error)) from error
    elif isinstance(target, psycopg.Connection):
        with target.transaction() if target.autocommit else nullcontext():
            yield _on_psycopg(target)
    elif isinstance(target, sa.Connection):
        yield _on_sqlalchemy(target)
    elif isinstance(target, AlembicOperations):
        yield _on_sqlalchemy(target.get_bind())
    else:
        kind = f"{type(target).__module__}.{type(target).__qualname__}"
        fix = "await connection.run_sync(workrow.schema.upgrade)" if _is_async(target) else "engine.begin()"
        raise SchemaError(
            f"{kind} is no target for the schema: give a URL, a psycopg.Connection, "
            f"an SQLAlchemy Connection or alembic's op (here: {fix})"
        )


def connect(url: str) -> psycopg.Connection[Any]:
    """A new psycopg connection to ``url``.

    Raises:
        ConfigurationError: the URL is malformed.
        DatabaseUnavailable: nothing answers there, or it refuses us.
    """
    given = {"connect_timeout": CONNECT_TIMEOUT, "fallback_application_name": "workrow schema"}
    parameters: dict[str, Any] = {**given, **conninfo_to_dict(libpq_url(url))}
    try:
        connection = psycopg.connect(**parameters, autocommit=True)
        try:
            session.pin(connection)
        except BaseException:
            connection.close()
            raise
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(unavailable(url, error)) from error
    connection.autocommit = False
    return connection


def _on_psycopg(connection: psycopg.Connection[Any]) -> Run:
    def run(statement: str) -> Sequence[Any]:
        with connection.cursor(row_factory=tuple_row) as cursor:
            try:
                cursor.execute(statement.encode())
            except psycopg.Error as error:
                _explain(error)
                raise
            return cursor.fetchall() if cursor.description else []

    return run


def _on_sqlalchemy(connection: sa.Connection) -> Run:
    if connection.connection.dbapi_connection.autocommit:  # type: ignore[union-attr]
        raise SchemaError(
            "the SQLAlchemy connection is in AUTOCOMMIT, where a migration that fails leaves half of it behind: "
            "give a connection of engine.begin()"
        )

    def run(statement: str) -> Sequence[Any]:
        try:
            # no_parameters: the driver must not look for placeholders in the text
            result = connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        except sa.exc.DBAPIError as error:
            _explain(error.orig)
            raise
        return result.all() if result.returns_rows else []

    return run


def _explain(error: BaseException | None) -> None:
    """Raise what we have words for. Each driver has names of its own for an error's code and message."""
    if error is not None and (missing := refused(error, *ANY)):
        raise missing from error
    states = (getattr(error, "sqlstate", None), getattr(error, "pgcode", None))
    kind = next((_WORDS[state] for state in states if state in _WORDS), None)
    if kind is not None:
        message = error.diag.message_primary if hasattr(error, "diag") else error.__cause__  # type: ignore[union-attr]
        raise kind(str(message)) from error


def _is_async(target: object) -> bool:
    return isinstance(target, AsyncConnection | AsyncEngine | AsyncSession | psycopg.AsyncConnection)
