"""How long a statement of ours waits for what somebody else's transaction holds: hardly at all."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import psycopg

PATIENCE_MS = 100
"""So long a statement waits for a row, an entry of a unique index or a table that an open transaction holds. Everything
else of a worker waits behind it on the same connection."""


def bound_session(milliseconds: int) -> str:
    """The statement that gives a connection so much patience."""
    return f"SET lock_timeout = {milliseconds}"


def bound_transaction(milliseconds: int) -> str:
    """The same for one transaction, which is all that is ours behind a pooler; without a warning in an implicit one."""
    return f"SELECT set_config('lock_timeout', '{milliseconds}', true)"


class Held(psycopg.DatabaseError):
    """Somebody's open transaction holds what a statement needs: nothing was written, and the connection is well."""


ERRORS = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.QueryCanceled,
)
"""How PostgreSQL says so. psycopg counts these among the operational errors, as it does a server that is away."""


@contextlib.asynccontextmanager
async def bounded(pool: Any) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A transaction on a connection of a psycopg pool whose statements do not wait for others'.

    Raises:
        Held: one of them would have.
    """
    try:
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(bound_transaction(PATIENCE_MS))
            yield connection
    except ERRORS as error:
        raise Held(str(error)) from None
