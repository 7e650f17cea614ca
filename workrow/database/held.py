"""How long a statement of ours waits for what somebody else's transaction holds: hardly at all."""

from collections.abc import Callable, Mapping, Sequence
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


async def run_bounded(
    pool: Any,
    statement: str,
    params: Mapping[str, Any],
    patience: int = PATIENCE_MS,
    row_factory: Callable[..., Any] = tuple_row,
) -> list[Any]:
    """The rows of one statement in a transaction that begins and ends with it, in one round trip: a task that blocks
    the event loop would hold up everybody who waits for its locks, and some lock the whole history.

    Args:
        pool: psycopg's, or what hands out a connection as it does.
        statement: the statement.
        params: its parameters.
        patience: milliseconds for which it waits for what others hold.
        row_factory: what its rows are.

    Raises:
        psycopg.Error: one of `ERRORS` where somebody's open transaction holds what the statement needs.
    """
    async with pool.connection() as connection:
        autocommit = connection.autocommit
        await connection.set_autocommit(True)
        try:
            # One message. A pipeline sends its statements before the Sync that ends their transaction, and the loop may
            # be blocked between the two (psycopg 3.3.9).
            async with psycopg.AsyncClientCursor(connection, row_factory=row_factory) as cursor:
                await cursor.execute(f"{bound_transaction(patience)};\n{statement}".encode(), params)
                cursor.nextset()
                return await cursor.fetchall() if cursor.description else []
        finally:
            if not connection.closed:
                await connection.set_autocommit(autocommit)


async def run_free(
    pool: Any, items: Sequence[T], statement: str, params: Callable[[list[T]], Mapping[str, Any]]
) -> tuple[list[T], list[Any]]:
    """Run one statement for all of these; if somebody's open transaction holds one of them, for each that nobody holds.

    Args:
        pool: as of `run_bounded`.
        items: what it writes.
        statement: the statement.
        params: its parameters for some of them.

    Returns:
        What is written, and the statement's rows.
    """
    try:
        return list(items), await run_bounded(pool, statement, params(list(items)))
    except ERRORS:
        if len(items) == 1:
            return [], []
    written: list[T] = []
    rows: list[Any] = []
    for item in items:
        try:
            rows += await run_bounded(pool, statement, params([item]), BRIEF_MS)
        except ERRORS:
            continue
        written.append(item)
    return written, rows
