"""A connection of the worker's own, made again whenever it dies."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg
import pydantic_core
from procrastinate.connector import BaseConnector
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row
from psycopg.types.json import set_json_loads

from workrow import sql
from workrow.database import forks, session
from workrow.database.connector import has_ended, is_pooled
from workrow.database.given import pool_of
from workrow.database.held import BRIEF_MS, ERRORS, PATIENCE_MS, Held, bound_session, bound_transaction
from workrow.database.outage import LOST, Outage, is_conflict, is_passing, judged

Row = tuple[Any, ...]
T = TypeVar("T")
Connect = Callable[[], Awaitable[psycopg.AsyncConnection]]

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds between attempts to reach a database that is away: full jitter below a doubling span."""
STATEMENT_SECONDS = 60.0
"""A network that swallows packets says nothing. After so long without an answer the connection counts as lost."""
CLOSE_SECONDS = 2.0
IDLE_SECONDS = 1.0
"""One that was idle for longer is looked at before it is used: the server may have closed it."""
ASK_SECONDS = 0.003
"""A statement that has no answer after so long may wait for somebody."""
CONFLICT_TRIES, CONFLICT_PAUSE = 3, 0.05
"""How often a statement runs that meets a serialization failure or its kin, and the longest pause between (s)."""


class Link:
    """Runs statements one after the other on a connection in autocommit mode; none waits for what others hold.

    Args:
        connect: makes a connection.
        setup: statements that each new connection starts with; not behind a pooler, where the session is not ours.
        json_loads: reads ``jsonb`` values.
        timeout: seconds until a statement without an answer counts as lost with its connection.
        outage: what to say of a database that is away, where those who ask for statements do not.
        patience: milliseconds for which a statement waits for what somebody's open transaction holds.
        asking: where to ask meanwhile who holds it; not behind a pooler.
    """

    def __init__(
        self,
        connect: Connect,
        *setup: str,
        json_loads: Callable[[bytes | str], Any] | None = None,
        timeout: float = STATEMENT_SECONDS,
        outage: Outage | None = None,
        patience: int = PATIENCE_MS,
        asking: "Link | None" = None,
    ) -> None:
        self._asking = asking
        self._patience = patience
        self._connect = connect
        self._json_loads = json_loads or pydantic_core.from_json
        self._setup = setup
        self._timeout = timeout
        self.outage = outage
        self._connection: psycopg.AsyncConnection | None = None
        self._pooled = False
        self._opened_at = self._used_at = 0.0
        self._turn = asyncio.Lock()
        self._generation = forks.generation

    async def run(self, name: str, /, **params: Any) -> list[Row]:
        """Run the statement ``<name>.sql`` and return its rows.

        Raises:
            Held: somebody's open transaction holds what it needs.
            psycopg.Error: the statement failed; whether it took effect is unknown if the connection was lost.
            Refused: the server refuses it, and is well.
            TimeoutError: there was no answer.
            RuntimeError: this process was forked, and the connection is its parent's.
        """
        return await self._run(name, params, self._patience)

    async def run_briefly(self, name: str, /, **params: Any) -> list[Row]:
        """The same with hardly any patience: for what was held a moment ago."""
        return await self._run(name, params, BRIEF_MS)

    async def _run(self, name: str, params: dict[str, Any], patience: int) -> list[Row]:
        if self._generation != forks.generation:
            raise RuntimeError(f"{name}: this connection is that of the process which forked this one")
        async with self._turn:
            over = asyncio.Event()
            blocker: asyncio.Task[int | None] | None = None
            try:
                async with asyncio.timeout(self._timeout):
                    connection = await self._open()
                    if self._asking is not None:
                        blocker = asyncio.create_task(self._ask(connection, over))
                    rows = await self._execute(connection, sql.load(name), params, patience)
            except ERRORS as error:
                held = Held(str(error))
                held.pid = await blocker if blocker else None
                raise held from None
            except (*LOST, asyncio.CancelledError) as error:
                if (refused := judged(error)) is not error:
                    raise refused from error
                if self.outage is not None and isinstance(error, LOST):
                    self.outage.noted(error)
                # cancelled in the middle of a statement, a connection is of no more use either
                await self._drop()
                raise
            finally:
                over.set()
        if self.outage is not None:
            self.outage.over()
        return rows

    async def _ask(self, connection: psycopg.AsyncConnection, over: asyncio.Event) -> int | None:
        """Whom the statement on this connection waits for, if it is not over in a moment."""
        if self._asking is None or self._pooled:
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ASK_SECONDS):
                await over.wait()
                return None
        with contextlib.suppress(Held, psycopg.Error, OSError):
            return next(
                (pid for (pid,) in await self._asking.run("read_blocker", pid=connection.info.backend_pid)), None
            )
        return None

    async def _execute(
        self, connection: psycopg.AsyncConnection, query: str, params: dict[str, Any], patience: int
    ) -> list[Row]:
        briefly = patience != self._patience and not self._pooled
        if briefly:
            await connection.execute(bound_session(patience))
        try:
            return await self._insist(connection, query, params, patience)
        finally:
            if briefly and not connection.closed:
                await connection.execute(bound_session(self._patience))

    async def _insist(
        self, connection: psycopg.AsyncConnection, query: str, params: dict[str, Any], patience: int
    ) -> list[Row]:
        """Each statement is a transaction of its own, so one that conflicts with another can be repeated."""
        for _ in range(CONFLICT_TRIES - 1):
            try:
                return await self._fetch(connection, query, params, patience)
            except psycopg.Error as error:
                if not is_conflict(error.sqlstate, str(error)):
                    raise
            await asyncio.sleep(random.uniform(0, CONFLICT_PAUSE))
        return await self._fetch(connection, query, params, patience)

    async def _fetch(
        self, connection: psycopg.AsyncConnection, query: str, params: dict[str, Any], patience: int
    ) -> list[Row]:
        cursor = psycopg.AsyncCursor(connection, row_factory=tuple_row)
        async with (
            # up to its end one implicit transaction, in one round trip
            connection.pipeline() if self._pooled else contextlib.nullcontext(),
            connection.transaction() if connection.isolation_level else contextlib.nullcontext(),
        ):
            if self._pooled:
                await connection.execute(bound_transaction(patience), prepare=False)
            await cursor.execute(query, params, prepare=not self._pooled, binary=True)
            return await cursor.fetchall()

    @property
    def age(self) -> float:
        """Seconds for which its connection has not been lost, as far as it knows; 0 without one."""
        return 0.0 if self._connection is None else time.monotonic() - self._opened_at

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """The connection itself, as psycopg's pool hands it out; statements wait for their turn meanwhile.

        Raises:
            psycopg.Error: it cannot be made.
        """
        async with self._turn:
            try:
                yield await self._open()
            except (*LOST, asyncio.CancelledError) as error:
                if not is_passing(error):
                    await self._drop()
                raise

    async def rest(self, seconds: float) -> None:
        """Close the connection if it has not been used for so many seconds."""
        if not self._turn.locked() and time.monotonic() - self._used_at > seconds:
            await self.close()

    async def close(self) -> None:
        """Close the connection; another statement would open one again. That of a parent stays."""
        if self._generation != forks.generation:
            return
        async with self._turn:
            await self._drop()

    async def _open(self) -> psycopg.AsyncConnection:
        idle, self._used_at = time.monotonic() - self._used_at, time.monotonic()
        if self._connection is not None and idle > IDLE_SECONDS and has_ended(self._connection):
            await self._drop()
        if self._connection is None or self._connection.closed:
            self._connection = connection = await self._connect()
            self._opened_at = time.monotonic()
            # twice as fast as json.loads, and it takes the bytes as they come
            set_json_loads(self._json_loads, connection)
            self._pooled = await is_pooled(connection)
            if not self._pooled:
                for statement in (bound_session(self._patience), *self._setup):
                    await connection.execute(statement)
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)


async def close(connection: psycopg.AsyncConnection) -> None:
    """Close a connection whatever state it is in, and do not wait for a network that does not answer."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close()
    except Exception:
        connection.pgconn.finish()


async def persist(outage: Outage | str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Await ``attempt()`` until it works, with growing pauses while the database is away.

    Args:
        outage: what to say meanwhile, or what this is that waits. Who shares one may say sooner that it is over.
        attempt: what to try.

    Raises:
        psycopg.OperationalError: the server refuses it, and is well.
    """
    outage = Outage(outage) if isinstance(outage, str) else outage
    span = FIRST_PAUSE
    try:
        while True:
            try:
                result = await attempt()
            except LOST as error:
                if judged(error) is not error:
                    raise
                span = min(LONGEST_PAUSE, span * 2) if outage.lasting else FIRST_PAUSE
                pause = random.uniform(0, span)
                outage.noted(error, pause)
                await asyncio.sleep(pause)
            else:
                outage.over()
                return result
    finally:
        outage.forget()


PATIENCE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""A server that vanished is noticed after 20 s (s, s, probes, ms), and not after the kernel's two hours. What the URL
says about any of these wins. https://www.postgresql.org/docs/current/libpq-connect.html"""
FACTORIES: dict[str, Any] = {"row_factory": tuple_row, "cursor_factory": psycopg.AsyncCursor}
"""What a pool gives to its user may be dicts, or cursors that read no named parameters."""


async def connect(connector: BaseConnector, url: str | None = None, *, purpose: str = "") -> psycopg.AsyncConnection:
    """A connection beside the connector's pool, made as the pool makes its own, in autocommit mode; or one to
    ``url``. ``purpose``: what `session.application_name` says of it."""
    pool = await pool_of(connector)
    conninfo = url or await pool._resolve_conninfo()
    given = {**conninfo_to_dict(conninfo), **await pool._resolve_kwargs()}
    name = session.application_name(conninfo, purpose)
    kwargs = {**PATIENCE, **given, **FACTORIES, "autocommit": True, "application_name": name}
    connection: psycopg.AsyncConnection = await pool.connection_class.connect("", **kwargs)
    if pool._configure is not None:
        try:
            await pool._configure(connection)
        except BaseException:
            await connection.close()
            raise
        connection.row_factory = tuple_row
    return connection
