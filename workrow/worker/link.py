"""A connection of the worker's own, made again whenever it dies."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
import pydantic_core
from psycopg.rows import tuple_row
from psycopg.types.json import set_json_loads

from workrow import sql

logger = logging.getLogger(__name__)

Row = tuple[Any, ...]
T = TypeVar("T")

LOST = (psycopg.OperationalError, psycopg.InterfaceError, OSError)
"""What says that the database is away, or this connection to it."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds between attempts to reach a database that is away: full jitter below a doubling span."""


class Link:
    """Runs statements one after the other on a connection in autocommit mode.

    Args:
        connect: makes a connection.
        setup: statements that each new connection starts with.
        json_loads: reads ``jsonb`` values.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[psycopg.AsyncConnection]],
        *setup: str,
        json_loads: Callable[[bytes | str], Any] | None = None,
    ) -> None:
        self._connect = connect
        self._json_loads = json_loads or pydantic_core.from_json
        self._setup = setup
        self._connection: psycopg.AsyncConnection | None = None
        self._turn = asyncio.Lock()

    async def run(self, name: str, /, **params: Any) -> list[Row]:
        """Run the statement ``<name>.sql`` and return its rows.

        Raises:
            psycopg.Error: the statement failed; whether it took effect is unknown if the connection was lost.
        """
        async with self._turn:
            connection = await self._open()
            try:
                cursor = psycopg.AsyncCursor(connection, row_factory=tuple_row)
                await cursor.execute(sql.load(name), params, prepare=True, binary=True)
                return await cursor.fetchall()
            except (*LOST, asyncio.CancelledError):
                # cancelled in the middle of a statement, a connection is of no more use either
                await self._drop()
                raise

    async def close(self) -> None:
        """Close the connection; another statement would open one again."""
        async with self._turn:
            await self._drop()

    async def _open(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await self._connect()
            # twice as fast as json.loads, and it takes the bytes as they come
            set_json_loads(self._json_loads, self._connection)
            for statement in self._setup:
                await self._connection.execute(statement)
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def persist(what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Await ``attempt()`` until it works, with growing pauses while the database is away."""
    span = FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except LOST as error:
            pause = random.uniform(0, span)
            span = min(LONGEST_PAUSE, span * 2)
            reason = " ".join(str(error).split())
            logger.warning("%s: the database is away (%s); trying again in %.1f s", what, reason, pause)
            await asyncio.sleep(pause)
