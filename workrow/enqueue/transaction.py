"""Run a statement inside the caller's transaction, whoever drives it.

SQLAlchemy's four (``AsyncSession``, ``AsyncConnection``, ``Session``, ``Connection``) on the psycopg, asyncpg and
psycopg2 dialects, and psycopg's two connections. What is async returns an awaitable, what is sync the rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import psycopg
import sqlalchemy as sa
from psycopg import errors as pg
from psycopg.rows import tuple_row
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import Connection as SAConnection
from sqlalchemy.ext.asyncio import AsyncConnection as SAAsyncConnection
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from workrow import sql
from workrow.errors import SchemaMissing, TransactionError, WorkrowError

AsyncTransaction: TypeAlias = (
    AsyncSession | async_scoped_session[Any] | SAAsyncConnection | psycopg.AsyncConnection[Any]
)
SyncTransaction: TypeAlias = Session | scoped_session[Any] | SAConnection | psycopg.Connection[Any]

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
    if isinstance(on, AsyncSession | async_scoped_session | SAAsyncConnection | psycopg.AsyncConnection):
        return True
    if isinstance(on, Session | scoped_session | SAConnection | psycopg.Connection):
        return False
    hint = "; an engine has no transaction: use `with engine.begin() as connection`" if _is_engine(on) else ""
    raise TransactionError(f"cannot enqueue on {on!r:.80}: expected {SUPPORTED}{hint}")


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
    """
    try:
        if isinstance(on, psycopg.AsyncConnection):
            cursor = psycopg.AsyncCursor(on, row_factory=tuple_row)
            return await (await cursor.execute(sql.load(name), params)).fetchall()
        target = on() if isinstance(on, async_scoped_session) else on
        _check_dialect(target.sync_session.get_bind() if isinstance(target, AsyncSession) else target)
        result = await target.execute(sql.load_for_sqlalchemy(name), params)
        return [tuple(row) for row in result]
    except (psycopg.Error, sa_exc.SQLAlchemyError) as error:
        raise _explained(explain, error, on) from None


def run(on: SyncTransaction, name: str, params: Params, explain: "Explain | None" = None) -> Rows:
    """The same for a sync session or connection."""
    try:
        if isinstance(on, psycopg.Connection):
            return psycopg.Cursor(on, row_factory=tuple_row).execute(sql.load(name), params).fetchall()
        target = on() if isinstance(on, scoped_session) else on
        _check_dialect(target.get_bind() if isinstance(target, Session) else target)
        return [tuple(row) for row in target.execute(sql.load_for_sqlalchemy(name), params)]
    except (psycopg.Error, sa_exc.SQLAlchemyError) as error:
        raise _explained(explain, error, on) from None


COPY_CHARACTERS = 65_536
"""Lines are handed to the driver in pieces of about this size: a call for each would cost more than the line."""


async def copy_async(on: AsyncTransaction, name: str, lines: Iterable[str]) -> int:
    """Stream lines to the COPY statement ``<name>.sql`` in the transaction of ``on``; returns how many.

    Raises:
        TransactionError: as `run_async`; or the driver is not psycopg.
    """
    try:
        target: Any = on() if isinstance(on, async_scoped_session) else on
        if isinstance(target, AsyncSession):
            target = await target.connection()
        if isinstance(target, SAAsyncConnection):
            await target.execute(sa.text("SELECT 1"))  # SQLAlchemy begins, and later commits, only what it has seen
            target = (await target.get_raw_connection()).driver_connection
        if not isinstance(target, psycopg.AsyncConnection):
            raise _no_copy(on)
        count = 0
        async with target.cursor() as cursor, cursor.copy(sql.load(name)) as stream:
            for number, piece in _pieces(lines):
                await stream.write(piece)
                count += number
        return count
    except (psycopg.Error, sa_exc.SQLAlchemyError) as error:
        raise _translated(error, on) or error from None


def copy(on: SyncTransaction, name: str, lines: Iterable[str]) -> int:
    """The same in a sync transaction."""
    try:
        target: Any = on() if isinstance(on, scoped_session) else on
        if isinstance(target, Session):
            target = target.connection()
        if isinstance(target, SAConnection):
            target.execute(sa.text("SELECT 1"))
            target = target.connection.driver_connection
        if not isinstance(target, psycopg.Connection):
            raise _no_copy(on)
        count = 0
        with target.cursor() as cursor, cursor.copy(sql.load(name)) as stream:
            for number, piece in _pieces(lines):
                stream.write(piece)
                count += number
        return count
    except (psycopg.Error, sa_exc.SQLAlchemyError) as error:
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


def _check_dialect(bind: Any) -> None:
    if bind.dialect.name != "postgresql":
        raise TransactionError(
            f"cannot enqueue on a {bind.dialect.name} database: jobs are rows in PostgreSQL; "
            "give a session that is bound to it"
        )


def _explained(explain: Explain | None, error: Exception, on: object) -> Exception:
    return (explain or _translated)(error, on) or error


def _translated(error: Exception, on: object) -> WorkrowError | None:
    """Our word for what the caller can mend; None for what only the driver's own error describes."""
    what = type(on).__name__
    if isinstance(error, sa_exc.PendingRollbackError | sa_exc.ResourceClosedError):
        return TransactionError(f"cannot enqueue: the {what}'s transaction has failed or is closed; roll it back first")
    original = error.orig if isinstance(error, sa_exc.DBAPIError) else error
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if state == pg.InFailedSqlTransaction.sqlstate:
        return TransactionError(f"cannot enqueue: the {what}'s transaction has failed already; roll it back first")
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
