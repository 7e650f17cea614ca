"""The part of `workrow.enqueue.transaction` that knows Django's connections; loaded when Django's are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connections, transaction
from django.utils.connection import ConnectionProxy

from workrow.errors import TransactionError


def is_connection(on: object) -> bool:
    """Whether it is one of ``django.db.connections``, or stands for one in each thread, as ``django.db.connection``."""
    from django.db.backends.base.base import BaseDatabaseWrapper

    return isinstance(on, BaseDatabaseWrapper) or (
        isinstance(on, ConnectionProxy) and on.__dict__["_connections"] is connections
    )


@contextmanager
def opened(on: Any) -> Iterator[psycopg.Connection[Any]]:
    """psycopg's connection, in whatever transaction Django has there; what it raises inside is raised as Django's.

    Raises:
        TransactionError: it is another driver's, or another database's.
        TransactionManagementError: of Django's, where the atomic block has failed already.
        SynchronousOnlyOperation: of Django's, on an event loop.
    """
    if on.vendor != "postgresql":
        raise TransactionError(
            f"cannot enqueue on the {on.vendor} database {on.alias!r}: jobs are rows in PostgreSQL; name the alias of "
            'one, WORKROW = {"DATABASE": "…"}'
        )
    with on.cursor() as cursor:
        on.validate_no_broken_transaction()
        connection = cursor.connection
        if not isinstance(connection, psycopg.Connection):
            raise TransactionError(
                f"cannot enqueue on the database {on.alias!r}: its driver is {type(connection).__module__}, and not "
                "psycopg 3; install that, Django prefers it"
            )
        with on.wrap_database_errors:
            yield connection


@contextmanager
def atomic(on: Any) -> Iterator[Any]:
    """A transaction of Django's on this connection, or a savepoint in the one that there is."""
    with transaction.atomic(using=on.alias):
        yield on
