"""Our own connections: procrastinate's psycopg connector, with a URL that may be computed and errors of one line."""

import asyncio
import selectors
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, LiteralString

import procrastinate
import psycopg
import psycopg_pool
from procrastinate.connector import BaseConnector
from procrastinate.psycopg_connector import wrap_exceptions
from procrastinate.sql import queries
from psycopg.rows import DictRow, dict_row

from workrow.database import forks, session
from workrow.database.held import run_bounded
from workrow.database.pools import outage_of_pool
from workrow.database.upstream_queries import ours
from workrow.database.urls import libpq_url, unavailable
from workrow.errors import DatabaseUnavailable

URL = str | Callable[[], str]

CONNECT_TIMEOUT = 5
"""Seconds until a server that does not answer counts as down."""
PERIODIC_PATIENCE_MS = 20
"""``@app.periodic`` defers one after the other: 20 that are held delay the others by 0.4 s. Other workers, with the
same due times, are done sooner."""
MAX_IDLE = 10.0
"""Seconds for which a connection of the pool is kept that nobody uses."""
OPEN_TIMEOUT = 30.0
"""Seconds for the pool's first connections, where the first answer was a good one; as psycopg_pool has it."""


class SyncConnector(procrastinate.SyncPsycopgConnector):
    """procrastinate's sync connector, opened by its first use, as those who call ``.delay()`` expect."""

    def __init__(self, **pool_args: Any) -> None:
        super().__init__(**pool_args)
        forks.forget_in_children(self)

    def after_fork(self) -> None:
        """The next use opens a pool of this process's own."""
        _abandon(self._pool)
        self._pool, self._pool_externally_set = None, False

    @property
    def pool(self) -> psycopg_pool.ConnectionPool:
        if self._pool is None:
            self.open()
        return super().pool

    def execute_query(self, query: LiteralString, **arguments: Any) -> None:
        """See procrastinate; what it deletes may be in history."""
        super().execute_query(ours(query), **arguments)

    def execute_query_one(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        """See procrastinate; its reads see history too."""
        return super().execute_query_one(ours(query), **arguments)

    def execute_query_all(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        """See procrastinate; its reads see history too."""
        return super().execute_query_all(ours(query), **arguments)

    def execute_query_one_with_connection(
        self, connection: psycopg.Connection, query: LiteralString, **arguments: Any
    ) -> dict[str, Any]:
        """See procrastinate; its reads see history too."""
        return super().execute_query_one_with_connection(connection, ours(query), **arguments)

    def execute_query_all_with_connection(
        self, connection: psycopg.Connection, query: LiteralString, **arguments: Any
    ) -> list[dict[str, Any]]:
        """See procrastinate; its reads see history too."""
        return super().execute_query_all_with_connection(connection, ours(query), **arguments)

    @staticmethod
    def _create_pool(pool_args: dict[str, Any]) -> psycopg_pool.ConnectionPool:
        return psycopg_pool.ConnectionPool(**pool_args, open=False, check=_peek)


class Connector(procrastinate.PsycopgConnector):
    """A psycopg connector for a URL.

    Args:
        url: a libpq URL or an SQLAlchemy one, or a function that returns it when it is first needed.
        min_size: connections that are kept; others end after `MAX_IDLE` seconds without use.
        max_size: connections at most.
        lazy: opened by its first use.

    Attributes:
        purpose: what ``application_name`` says of the pools' connections.

    Raises:
        ConfigurationError: the URL is no PostgreSQL URL.
    """

    def __init__(self, url: URL, *, min_size: int = 1, max_size: int = 10, lazy: bool = False) -> None:
        self._url = url if callable(url) else libpq_url(url)
        self.purpose = "pool"
        self._name, self._outage = outage_of_pool()
        super().__init__(
            name=self._name,
            conninfo=lambda: self.url,
            kwargs=self._named,
            configure=self._configure,
            min_size=min_size,
            max_size=max_size,
            max_idle=MAX_IDLE,
        )
        self._reopen = lazy
        self._opening = asyncio.Lock()
        forks.forget_in_children(self)

    def after_fork(self) -> None:
        """The next use opens a pool of this process's own, if there was one."""
        self._reopen = self._reopen or self._async_pool is not None
        _abandon(self._async_pool)
        self._async_pool, self._pool_externally_set = None, False
        self._opening = asyncio.Lock()

    @cached_property
    def url(self) -> str:
        """The libpq URL."""
        return libpq_url(self._url()) if callable(self._url) else self._url

    def get_sync_connector(self) -> BaseConnector:
        """A connector with a pool of its own, so that ``.delay()`` works inside a running event loop too."""
        if self._sync_connector is None:
            self._sync_connector = SyncConnector(
                conninfo=lambda: self.url,
                name=self._name,
                kwargs=lambda: {"autocommit": True, **self._named()},
                configure=self._configure_sync,
                min_size=0,
                max_size=4,
                max_idle=MAX_IDLE,
            )
        return self._sync_connector

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        """See procrastinate; what it deletes may be in history."""
        await super().execute_query_async(ours(query), **arguments)

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        """See procrastinate; reads see history, and ``@app.periodic`` waits shortly for others' open transactions."""
        if query == queries["defer_periodic_job"]:
            pool, params = await self.opened(), self._wrap_json(arguments)
            async with wrap_exceptions():
                rows = await run_bounded(pool, ours(query), params, PERIODIC_PATIENCE_MS, row_factory=dict_row)
            return rows[0]  # type: ignore[no-any-return]
        return await super().execute_query_one_async(ours(query), **arguments)  # type: ignore[no-any-return]

    async def execute_query_all_async(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        """See procrastinate; its reads see history too."""
        return await super().execute_query_all_async(ours(query), **arguments)  # type: ignore[no-any-return]

    async def execute_query_one_async_with_connection(
        self, connection: psycopg.AsyncConnection, query: LiteralString, **arguments: Any
    ) -> dict[str, Any]:
        """See procrastinate; its reads see history too."""
        return await super().execute_query_one_async_with_connection(connection, ours(query), **arguments)  # type: ignore[no-any-return]

    async def execute_query_all_async_with_connection(
        self, connection: psycopg.AsyncConnection, query: LiteralString, **arguments: Any
    ) -> list[dict[str, Any]]:
        """See procrastinate; its reads see history too."""
        return await super().execute_query_all_async_with_connection(connection, ours(query), **arguments)  # type: ignore[no-any-return]

    async def open_async(self, pool: psycopg_pool.AsyncConnectionPool | None = None) -> None:
        """Open the pool, or take the given one.

        Raises:
            DatabaseUnavailable: nothing answers there, or it refuses us.
        """
        if pool is None and self._async_pool is None:
            await asyncio.to_thread(lambda: self.url)
            await self._knock()
        await super().open_async(pool)

    async def opened(self) -> psycopg_pool.AsyncConnectionPool:
        """The pool; one that is opened now in a fork of a process whose app is open, or where it is lazy.

        Raises:
            AppNotOpen: it was not open.
        """
        if self._reopen:
            async with self._opening:
                await self.open_async()
                self._reopen = False
        return self.pool

    async def keep_none(self) -> None:
        """Let idle connections of the pool end, if it is ours: a worker has others, and these are for its tasks."""
        pool = await self.opened()
        if not self._pool_externally_set:
            await pool.resize(0, pool.max_size)

    @asynccontextmanager
    async def _get_cursor(
        self, connection: psycopg.AsyncConnection | None = None
    ) -> AsyncGenerator[psycopg.AsyncCursor[DictRow]]:
        if connection is None:
            await self.opened()
        async with super()._get_cursor(connection) as cursor:
            yield cursor

    async def _configure(self, connection: psycopg.AsyncConnection) -> None:
        # every statement of procrastinate's is a transaction of its own; this saves the round trips of BEGIN and COMMIT
        await connection.set_autocommit(True)
        await is_pooled(connection)
        self._outage.over()

    def _configure_sync(self, connection: psycopg.Connection) -> None:
        session.pin(connection)
        self._outage.over()

    def _named(self) -> dict[str, Any]:
        return {"application_name": session.application_name(self.url, self.purpose)}

    async def close_async(self) -> None:
        """Close both pools."""
        self._reopen = False
        await super().close_async()
        if self._sync_connector is not None:
            await asyncio.to_thread(self._sync_connector.close)
            self._sync_connector = None

    async def _create_pool(self, pool_args: dict[str, Any]) -> psycopg_pool.AsyncConnectionPool:
        pool = psycopg_pool.AsyncConnectionPool(**pool_args, open=False, check=_peek_async)
        try:
            await pool.open(wait=True, timeout=OPEN_TIMEOUT)
        except psycopg_pool.PoolTimeout as error:
            problem = error
        else:
            return pool
        raise DatabaseUnavailable(unavailable(self.url, problem))

    async def _knock(self) -> None:
        """Find out at once what a pool would only say after half a minute of attempts."""
        problem: psycopg.OperationalError
        try:
            connection = await psycopg.AsyncConnection.connect(
                self.url, connect_timeout=CONNECT_TIMEOUT, **self._named()
            )
        except psycopg.OperationalError as error:
            problem = error
        else:
            await connection.close()
            return
        # outside the except clause, so that procrastinate's CLI prints this line and not its whole ancestry
        raise DatabaseUnavailable(unavailable(self.url, problem))


def _abandon(pool: psycopg_pool.ConnectionPool | psycopg_pool.AsyncConnectionPool | None) -> None:
    """Leave the parent's pool alone: psycopg closes no connection of another process, but a pool that is collected
    waits for threads that do not live here, and asyncio complains of its tasks. Who still holds it is refused."""
    if pool is not None:
        pool._closed = True
    if isinstance(pool, psycopg_pool.AsyncConnectionPool):
        for task in filter(None, (pool._sched_runner, *pool._workers)):
            task._log_destroy_pending = False  # type: ignore[attr-defined]


async def is_pooled(connection: psycopg.AsyncConnection) -> bool:
    """Pin the settings that we rely on; whether a pooler such as PgBouncer stands between.

    The server process is then not the one we logged in to. Where its transactions begin in another isolation than READ
    COMMITTED, or read only, each statement gets one that does not.
    """
    row = await (await connection.execute(session.PIN, session.pin_params(connection), prepare=False)).fetchone()
    if session.needs_modes(row):
        await connection.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)
        await connection.set_read_only(False)
    return session.pinned(connection, row)


def has_ended(connection: psycopg.Connection | psycopg.AsyncConnection) -> bool:
    """Whether the server has closed an idle connection, without a round trip: unasked it only ever says goodbye.

    psycopg_pool's own check asks the server, which would double the time of every enqueue.
    """
    with getattr(selectors, "PollSelector", selectors.DefaultSelector)() as selector:  # without a descriptor of its own
        selector.register(connection.fileno(), selectors.EVENT_READ)
        return bool(selector.select(0))


def _peek(connection: psycopg.Connection) -> None:
    if has_ended(connection):
        connection.close()  # the pool takes back what is not closed
        raise psycopg.OperationalError("the server closed this connection")


async def _peek_async(connection: psycopg.AsyncConnection) -> None:
    if has_ended(connection):
        await connection.close()
        raise psycopg.OperationalError("the server closed this connection")
