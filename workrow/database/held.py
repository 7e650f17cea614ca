"""How long a statement of ours waits for what somebody else's transaction holds: hardly at all."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.rows import tuple_row

from workrow.database import session

T = TypeVar("T")

PATIENCE_MS = 100
"""So long a statement waits for a row, an entry of a unique index or a table that an open transaction holds. Everything
else of a worker waits behind it on the same connection."""
BRIEF_MS = 2
"""The same where one after the other is tried: 500 that are held cost a second. One that is locked for this moment only
is tried again a second later."""
AGAIN_SECONDS = 1.0
"""What was held is tried again so often."""


def bound_session(milliseconds: int) -> str:
    """The statement that gives a connection so much patience."""
    return f"SET lock_timeout = {milliseconds}"


def bound_transaction(milliseconds: int) -> str:
    """The same for one transaction, which is all that is ours behind a pooler, with what else it relies on; without a
    warning in an implicit one."""
    return f"SELECT set_config('lock_timeout', '{milliseconds}', true), {session.LOCAL}"


class Held(psycopg.DatabaseError):
    """Somebody's open transaction holds what a statement needs: nothing was written, and the connection is well.

    Attributes:
        pid: the session that holds it, where that was asked.
    """

    pid: int | None = None


ERRORS = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.QueryCanceled,
)
"""How PostgreSQL says so. psycopg counts these among the operational errors, as it does a server that is away."""


@asynccontextmanager
async def bounded(pool: Any, patience: int = PATIENCE_MS) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A transaction on a connection of psycopg's pool, whose statements wait for so many milliseconds at most.

    Raises:
        psycopg.Error: one of `ERRORS` where somebody's open transaction holds what a statement needs.
    """
    async with pool.connection() as connection, connection.transaction():
        # a pool that the app was given may make dicts of rows
        factories = connection.row_factory, connection.cursor_factory
        connection.row_factory, connection.cursor_factory = tuple_row, psycopg.AsyncCursor
        try:
            await connection.execute(bound_transaction(patience), prepare=False)
            yield connection
        finally:
            connection.row_factory, connection.cursor_factory = factories


async def run_bounded(
    pool: Any, statement: str, params: Mapping[str, Any], patience: int = PATIENCE_MS
) -> list[tuple[Any, ...]]:
    """The rows of one statement in such a transaction, which begins and ends with it, in one round trip: a task that
    blocks the event loop would hold up everybody who waits for its locks, and some lock the whole history.

    Raises:
        psycopg.Error: as `bounded`.
    """
    async with pool.connection() as connection:
        autocommit = connection.autocommit
        await connection.set_autocommit(True)
        try:
            async with psycopg.AsyncClientCursor(connection, row_factory=tuple_row) as cursor:
                await cursor.execute(f"{bound_transaction(patience)};\n{statement}".encode(), params)
                cursor.nextset()
                return await cursor.fetchall() if cursor.description else []
        finally:
            if not connection.closed:
                await connection.set_autocommit(autocommit)


async def write_free(
    connection: psycopg.AsyncConnection[Any],
    items: Sequence[T],
    write: Callable[[list[T]], Awaitable[None]],
    suspects: Sequence[T] = (),
) -> list[T]:
    """Write all of these together; if somebody's open transaction holds one of them, all that nobody holds.

    Args:
        connection: in a transaction; afterwards its statements may have `BRIEF_MS` only.
        items: what to write.
        write: writes some of them.
        suspects: what was held when it was last tried, and does not keep the others.

    Returns:
        What is written.
    """
    free = list(items)
    try:
        async with connection.transaction():
            await write(free)
    except ERRORS:
        free, suspects = [], [*items, *suspects]
    if suspects:
        await connection.execute(bound_transaction(BRIEF_MS), prepare=False)
    for item in suspects:
        try:
            async with connection.transaction():
                await write([item])
        except ERRORS:
            continue
        free.append(item)
    return free
