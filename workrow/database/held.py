"""How long a statement of ours waits for what somebody else's transaction holds: hardly at all."""

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
