"""Run a statement inside the caller's transaction, whoever drives it.

SQLAlchemy's four (``AsyncSession``, ``AsyncConnection``, ``Session``, ``Connection``) on the psycopg, asyncpg and
psycopg2 dialects, and psycopg's two connections. What is async returns an awaitable, what is sync the rows.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import psycopg
from psycopg import errors as pg
from psycopg.rows import tuple_row

from workrow import sql
from workrow.database.outage import told
from workrow.errors import ArgumentError, SchemaMissing, TransactionError, WorkrowError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection as SAConnection
    from sqlalchemy.ext.asyncio import AsyncConnection as SAAsyncConnection
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session

# SQLAlchemy takes longer to import than all the rest: who enqueues on psycopg's connections alone never loads it
AsyncTransaction: TypeAlias = Union[
    "AsyncSession", "async_scoped_session[Any]", "SAAsyncConnection", psycopg.AsyncConnection[Any]
]
SyncTransaction: TypeAlias = Union["Session", "scoped_session[Any]", "SAConnection", psycopg.Connection[Any]]

Rows: TypeAlias = list[tuple[Any, ...]]
Params: TypeAlias = Mapping[str, Any]
Explain: TypeAlias = Callable[[Exception, object], Exception | None]

SUPPORTED = (
    "an SQLAlchemy AsyncSession, AsyncConnection, Session or Connection, "
    "a psycopg AsyncConnection or Connection, or None for a transaction of its own"
)


def is_async(on: object) -> bool:
    """Whether the object is driven by an event loop.

    Raises:
        TransactionError: it is no transaction that workrow can join.
    """
    if isinstance(on, psycopg.AsyncConnection | psycopg.Connection):
        return isinstance(on, psycopg.AsyncConnection)
    if "sqlalchemy" in sys.modules:
        theirs = _sqlalchemy()
        if isinstance(on, theirs.ASYNC + theirs.SYNC):
            return isinstance(on, theirs.ASYNC)
    hint = "; an engine has no transaction: use `with engine.begin() as connection`" if _is_engine(on) else ""
    raise TransactionError(
        f"cannot enqueue on {on!r:.80}: the first argument is the transaction, before those of the task; "
        f"expected {SUPPORTED}{hint}"
    )


async def run_async(on: AsyncTransaction, name: str, params: Params, explain: "Explain | None" = None) -> Rows:
    """Run the statement ``<name>.sql`` in the transaction of ``on`` and return its rows.

    Args:
        on: the caller's transaction.
        name: of the statement.
        params: by name.
        explain: from an error of the driver and ``on`` to what is raised; None: that error. By default what follows.

    Raises:
        TransactionError: the transaction has failed already, is read-only, or its connection is closed.
        SchemaMissing: procrastinate's tables are not there.
        ArgumentError: the database's encoding cannot hold an argument.
    """
    try:
        if isinstance(on, psycopg.AsyncConnection):
            cursor = psycopg.AsyncCursor(on, row_factory=tuple_row)
            return _texts(await (await cursor.execute(sql.load(name), params)).fetchall())
        rows: Rows = await _sqlalchemy().run_async(on, name, params)
        return rows
    except _errors(on) as error:
        raise _explained(explain, error, on) from None


def run(on: SyncTransaction, name: str, params: Params, explain: "Explain | None" = None) -> Rows:
    """The same for a sync session or connection."""
    try:
        if isinstance(on, psycopg.Connection):
            return _texts(psycopg.Cursor(on, row_factory=tuple_row).execute(sql.load(name), params).fetchall())
        rows: Rows = _sqlalchemy().run(on, name, params)
        return rows
    except _errors(on) as error:
        raise _explained(explain, error, on) from None


def _texts(rows: Rows) -> Rows:
    """psycopg reads text as bytes where client_encoding is SQL_ASCII; no statement of ours returns any."""
    if not rows or bytes not in map(type, rows[0]):
        return rows
    return [tuple(value.decode() if isinstance(value, bytes) else value for value in row) for row in rows]


COPY_CHARACTERS = 65_536
"""Lines are handed to the driver in pieces of about this size: a call for each would cost more than the line."""


async def copy_async(on: AsyncTransaction, name: str, lines: Iterable[str]) -> int:
    """Stream lines to the COPY statement ``<name>.sql`` in the transaction of ``on``; returns how many.

    Raises:
        TransactionError: as `run_async`; or the driver is not psycopg.
    """
    try:
        target = on if isinstance(on, psycopg.AsyncConnection) else await _sqlalchemy().driver_async(on)
        if not isinstance(target, psycopg.AsyncConnection):
            raise _no_copy(on)
        count = 0
        async with target.cursor() as cursor, cursor.copy(sql.load(name)) as stream:
            for number, piece in _pieces(lines):
                await stream.write(piece)
                count += number
        return count
    except _errors(on) as error:
        raise _translated(error, on) or error from None


def copy(on: SyncTransaction, name: str, lines: Iterable[str]) -> int:
    """The same in a sync transaction."""
    try:
        target = on if isinstance(on, psycopg.Connection) else _sqlalchemy().driver(on)
        if not isinstance(target, psycopg.Connection):
            raise _no_copy(on)
        count = 0
        with target.cursor() as cursor, cursor.copy(sql.load(name)) as stream:
            for number, piece in _pieces(lines):
                stream.write(piece)
                count += number
        return count
    except _errors(on) as error:
        raise _translated(error, on) or error from None


def _pieces(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    piece: list[str] = []
    size = 0
    for line in lines:
        piece.append(line)
        size += len(line)
        if size >= COPY_CHARACTERS:
            yield len(piece), "".join(piece)
            piece, size = [], 0
    yield len(piece), "".join(piece)


def _no_copy(on: object) -> TransactionError:
    return TransactionError(
        f"cannot enqueue_copy on {type(on).__name__}: COPY needs psycopg's driver (postgresql+psycopg://); "
        "use enqueue_many with this one"
    )


def _is_engine(on: object) -> bool:
    return type(on).__name__ in ("Engine", "AsyncEngine", "sessionmaker", "async_sessionmaker")


@cache
def _sqlalchemy() -> Any:
    """What is done with SQLAlchemy's objects."""
    return import_module("workrow.enqueue.sqlalchemy_transaction")


def _errors(on: object) -> tuple[type[Exception], ...]:
    """What the driver of ``on`` raises."""
    if isinstance(on, psycopg.AsyncConnection | psycopg.Connection):
        return (psycopg.Error, UnicodeEncodeError)
    return (psycopg.Error, UnicodeEncodeError, _sqlalchemy().SQLAlchemyError)


def _explained(explain: Explain | None, error: Exception, on: object) -> Exception:
    return (explain or _translated)(error, on) or error


def _translated(error: Exception, on: object) -> WorkrowError | None:
    """Our word for what the caller can mend; None for what only the driver's own error describes."""
    what = type(on).__name__
    if isinstance(error, UnicodeEncodeError):
        character = error.object[error.start]
        return TransactionError(
            f"cannot enqueue {character!r}: the {what}'s client_encoding is not UTF8 ({error.encoding}); connect with "
            "client_encoding=utf8, which a setting of the role or the database does not change then"
        )
    if "sqlalchemy" in sys.modules and _sqlalchemy().has_failed(error):
        return TransactionError(f"cannot enqueue: the {what}'s transaction has failed or is closed; roll it back first")
    original = getattr(error, "orig", None) or error
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if state == pg.InFailedSqlTransaction.sqlstate:
        return TransactionError(f"cannot enqueue: the {what}'s transaction has failed already; roll it back first")
    if state == pg.UntranslatableCharacter.sqlstate:
        return ArgumentError(f"cannot enqueue what the database's encoding cannot hold: {told(original)}")
    if state == pg.ReadOnlySqlTransaction.sqlstate:
        return TransactionError(f"cannot enqueue: the {what}'s transaction is read-only; use one that may write")
    if state in (pg.UndefinedTable.sqlstate, pg.UndefinedObject.sqlstate) and "procrastinate" in str(original):
        return SchemaMissing(
            "the database has no table procrastinate_jobs where search_path looks; run `alembic upgrade head` "
            "(or workrow.schema.upgrade) on it first"
        )
    if state is None and isinstance(original, psycopg.OperationalError) and "the connection is closed" in str(original):
        return TransactionError(f"cannot enqueue: the {what} is closed; open a new one")
    return None
