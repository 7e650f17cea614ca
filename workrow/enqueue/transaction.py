"""Run a statement inside the caller's transaction, whoever drives it.

SQLAlchemy's four (``AsyncSession``, ``AsyncConnection``, ``Session``, ``Connection``) on the psycopg, asyncpg and
psycopg2 dialects, psycopg's two connections, and Django's. What is async returns an awaitable, what is sync the rows.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, Union, cast

import psycopg
from asgiref.sync import sync_to_async
from psycopg.rows import tuple_row

from workrow import sql
from workrow.arguments.secrets import Sealed
from workrow.database.privileges import how, kind_for
from workrow.enqueue.refusals import translated
from workrow.errors import InsufficientPrivilege, TransactionError

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

FORGOTTEN: Any = type("nothing", (), {"__repr__": lambda _: "nothing"})()
"""Where no transaction was named, not even None."""

Rows: TypeAlias = list[tuple[Any, ...]]
Params: TypeAlias = Mapping[str, Any]
Explain: TypeAlias = Callable[[Exception, object], Exception | None]

SUPPORTED = (
    "an SQLAlchemy AsyncSession, AsyncConnection, Session or Connection, "
    "a psycopg AsyncConnection or Connection, a connection of Django's, or None for a transaction of its own"
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
    if _is_django(on):
        return False
    raise TransactionError(
        f"cannot enqueue on {on!r:.80}: the first argument is the transaction, before those of the task; "
        f"expected {SUPPORTED}{_hint(on)}"
    )


def check_sync(on: object) -> None:
    """Raise TransactionError unless it is a transaction that blocks."""
    if is_async(on):
        raise TransactionError(f"{type(on).__name__} is async: give a Session, or the sync connection behind it")


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
        InsufficientPrivilege: the transaction's role lacks a grant.
    """
    if _is_django(on):  # in the thread that has its connection, as Django's own async methods do
        return await sync_to_async(run)(on, name, params, explain)  # type: ignore[arg-type]
    try:
        if isinstance(on, psycopg.AsyncConnection):
            cursor = psycopg.AsyncCursor(on, row_factory=tuple_row)
            if on._tpc:
                await cursor.execute(sql.load("keep_quiet"))
            return _texts(await (await cursor.execute(sql.load(name), params)).fetchall())
        rows: Rows = await _sqlalchemy().run_async(on, name, params)
        return rows
    except _errors(on) as error:
        raise _explained(explain, _quiet(error, params), on, name) from None


def run(on: SyncTransaction, name: str, params: Params, explain: "Explain | None" = None) -> Rows:
    """The same for a sync session or connection."""
    if _is_django(on):
        with _django().opened(on) as connection:
            return run(connection, name, params, explain)
    try:
        if isinstance(on, psycopg.Connection):
            cursor = psycopg.Cursor(on, row_factory=tuple_row)
            if on._tpc:
                cursor.execute(sql.load("keep_quiet"))
            return _texts(cursor.execute(sql.load(name), params).fetchall())
        rows: Rows = _sqlalchemy().run(on, name, params)
        return rows
    except _errors(on) as error:
        raise _explained(explain, _quiet(error, params), on, name) from None


def _texts(rows: Rows) -> Rows:
    """psycopg reads text as bytes where client_encoding is SQL_ASCII; no statement of ours returns any."""
    if not rows or bytes not in map(type, rows[0]):
        return rows
    return [tuple(value.decode() if isinstance(value, bytes) else value for value in row) for row in rows]


def _quiet(error: Exception, params: Params) -> Exception:
    """The error without the server's detail, which has the row that it refuses, if that is not to be shown."""
    if isinstance(params.get("args"), Sealed):
        for each in (error, getattr(error, "orig", None)):
            if each is not None:
                each.args = tuple(str(word).partition("\nDETAIL")[0] for word in each.args)
    return error


def atomic(on: Any) -> AbstractContextManager[Any]:
    """A transaction, or a savepoint in one, on a sync connection of psycopg or Django."""
    return cast("AbstractContextManager[Any]", _django().atomic(on) if _is_django(on) else on.transaction())


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
            raise _no_copy(on, "needs psycopg's driver (postgresql+psycopg://)")
        if target.pgconn.pipeline_status:
            raise _no_copy(on, "does not work in a pipeline")
        count = 0
        with _told_when_lost(target):
            async with target.cursor() as cursor, cursor.copy(sql.load(name)) as stream:
                for number, piece in _pieces(lines):
                    await stream.write(piece)
                    count += number
        return count
    except _errors(on) as error:
        raise _explained(None, error, on, name) from None


def copy(on: SyncTransaction, name: str, lines: Iterable[str]) -> int:
    """The same in a sync transaction."""
    if _is_django(on):
        with _django().opened(on) as connection:
            return copy(connection, name, lines)
    try:
        target = on if isinstance(on, psycopg.Connection) else _sqlalchemy().driver(on)
        if not isinstance(target, psycopg.Connection):
            raise _no_copy(on, "needs psycopg's driver (postgresql+psycopg://)")
        if target.pgconn.pipeline_status:
            raise _no_copy(on, "does not work in a pipeline")
        count = 0
        with _told_when_lost(target), target.cursor() as cursor, cursor.copy(sql.load(name)) as stream:
            for number, piece in _pieces(lines):
                stream.write(piece)
                count += number
        return count
    except _errors(on) as error:
        raise _explained(None, error, on, name) from None


@contextmanager
def _told_when_lost(connection: "psycopg.Connection[Any] | psycopg.AsyncConnection[Any]") -> Iterator[None]:
    """psycopg 3.3.9 ends a COPY with a ValueError where the server's error and the lost connection arrive as one
    (``findings/psycopg_copy_lost.sh``)."""
    try:
        yield
    except ValueError as error:
        if not connection.closed:
            raise
        raise psycopg.OperationalError("the connection was lost at the end of COPY; nothing is inserted") from error


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


def _no_copy(on: object, why: str) -> TransactionError:
    return TransactionError(f"cannot enqueue_copy on {type(on).__name__}: COPY {why}; use enqueue_many with this one")


def _hint(on: object) -> str:
    kind = type(on)
    if kind.__name__ in ("Engine", "AsyncEngine", "sessionmaker", "async_sessionmaker"):
        return "; an engine has no transaction: use `with engine.begin() as connection`"
    return ""


def _is_django(on: object) -> bool:
    return "django.db" in sys.modules and _django().is_connection(on)


@cache
def _django() -> Any:
    """What is done with Django's connections."""
    return import_module("workrow.enqueue.django_transaction")


@cache
def _sqlalchemy() -> Any:
    """What is done with SQLAlchemy's objects."""
    return import_module("workrow.enqueue.sqlalchemy_transaction")


def _errors(on: object) -> tuple[type[Exception], ...]:
    """What the driver of ``on`` raises."""
    if isinstance(on, psycopg.AsyncConnection | psycopg.Connection):
        return (psycopg.Error, UnicodeEncodeError)
    return (psycopg.Error, UnicodeEncodeError, _sqlalchemy().SQLAlchemyError)


def _explained(explain: Explain | None, error: Exception, on: object, name: str) -> Exception:
    said = (explain or translated)(error, on)
    if said and ("schedule" in name or name == "signal_job"):  # read_schedules, pause_schedule, …
        said = type(said)(str(said).replace("cannot enqueue", f"cannot {name.replace('_', ' ')}", 1))
    if isinstance(said, InsufficientPrivilege) and "row-level security" not in str(said):
        return InsufficientPrivilege(f"{said}; or {how(kind_for(name))}")
    return said or error
