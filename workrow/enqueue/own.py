"""Where a call goes that names no transaction: one of its own, or the one around it that the connector knows."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from procrastinate.connector import BaseConnector

from workrow.database.given import pool_of, sync_pool_of, tells_url
from workrow.declare.loud import loud
from workrow.enqueue.transaction import FORGOTTEN, SyncTransaction, atomic
from workrow.errors import ConfigurationError, TransactionError


class Own:
    """The part of a job manager that knows its connector's connections."""

    _given: BaseConnector

    @property
    def surrounding(self) -> SyncTransaction | None:
        """The transaction of whoever calls, where the connector has it, as Django's; None: calls have their own."""
        return getattr(self._given, "surrounding", None)

    @loud
    @asynccontextmanager
    async def own_connection_async(self) -> AsyncIterator[Any]:
        """A connection whose transaction ends with the block, if it is not in autocommit mode; or what is around.

        Raises:
            ConfigurationError: the app's connector has no such connections.
        """
        if (around := self.surrounding) is not None:
            yield around
            return
        check_own(self._given)
        async with (await pool_of(self._given)).connection() as connection:
            yield connection

    @loud
    @contextmanager
    def own_connection(self) -> Iterator[Any]:
        """The same, blocking."""
        if (around := self.surrounding) is not None:
            yield around
            return
        check_own(self._given)
        with sync_pool_of(self._given).connection() as connection:
            yield connection

    @loud
    @asynccontextmanager
    async def own_transaction_async(self) -> AsyncIterator[Any]:
        """A connection in a transaction that ends with the block.

        Raises:
            ConfigurationError: as `own_connection_async`.
            TransactionError: what is around is Django's connection.
        """
        if self.surrounding is not None:
            raise TransactionError(
                "Django's transactions are sync: in a function that sync_to_async calls, write "
                "`with workrow.batch(django.db.connection):`"
            )
        async with self.own_connection_async() as connection, connection.transaction():
            yield connection

    @loud
    @contextmanager
    def own_transaction(self) -> Iterator[Any]:
        """The same, blocking; or a savepoint in the transaction around."""
        with self.own_connection() as connection, atomic(connection):
            yield connection


def surrounding_of(task: Any) -> Any:
    """The transaction around who enqueues this task, where its app knows it; else `FORGOTTEN`."""
    manager = getattr(getattr(task, "blueprint", None), "job_manager", None)
    around = getattr(manager, "surrounding", None)
    return FORGOTTEN if around is None else around


def check_own(connector: BaseConnector) -> None:
    """Raise ConfigurationError where there are no transactions beside the caller's, or no database at all."""
    name = type(connector).__name__
    if not tells_url(connector):
        raise ConfigurationError(
            f"unique, debounce, throttle, expires and limits need a database, which a {name} does not tell: make the "
            "app with workrow.App('postgresql://…')"
        )
    if hasattr(connector, "get_worker_connector"):
        raise ConfigurationError(
            f"unique, debounce, throttle, expires and limits cannot join the transaction of a {name}: make the app "
            "with workrow.django.App(), or enqueue on task.enqueue(django.db.connection, …)"
        )
