"""The part of `workrow.enqueue.transaction` that knows SQLAlchemy; loaded when an object of SQLAlchemy's comes."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, TwoPhaseTransaction
from sqlalchemy.exc import SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from workrow import sql
from workrow.enqueue.routing import connection_of
from workrow.errors import TransactionError
from workrow.logs import get_logger

__all__ = ["ASYNC", "SYNC", "SQLAlchemyError", "driver", "driver_async", "run", "run_async"]

logger = get_logger(__name__)

ASYNC = (AsyncSession, async_scoped_session, AsyncConnection)
SYNC = (Session, scoped_session, Connection)

_warned: WeakSet[Engine] = WeakSet()


async def run_async(on: Any, name: str, params: Mapping[str, Any]) -> list[Any]:
    """Run the statement ``<name>.sql`` and return its rows."""
    target = on() if isinstance(on, async_scoped_session) else on
    rows: list[Any] = await target.run_sync(run, name, params)
    return rows


def run(on: Session | Connection | Any, name: str, params: Mapping[str, Any]) -> list[Any]:
    """The same for a sync session or connection."""
    connection = _connection(on)
    try:
        return [tuple(row) for row in connection.execute(sql.load_for_sqlalchemy(name), params)]
    except StatementError as error:
        # thousands of characters that the caller has not written, and the arguments of jobs
        error.statement = None
        raise


async def driver_async(on: Any) -> Any:
    """The driver's own connection, in the transaction of ``on``."""
    target = on() if isinstance(on, async_scoped_session) else on
    return await target.run_sync(driver)


def driver(on: Any) -> Any:
    """The same in a sync transaction."""
    connection = _connection(on)
    connection.execute(sa.text("SELECT 1"))  # SQLAlchemy begins, and later commits, only what it has seen
    return connection.connection.driver_connection


def _connection(on: Any) -> Connection:
    """The connection of this transaction that jobs are written on, ready for them."""
    target = on() if isinstance(on, scoped_session) else on
    connection: Connection = connection_of(target) if isinstance(target, Session) else target
    if connection.dialect.name != "postgresql":
        raise TransactionError(
            f"cannot enqueue on a {connection.dialect.name} database: jobs are rows in PostgreSQL; "
            "give a session that is bound to it"
        )
    proxied = connection.connection
    if getattr(proxied.dbapi_connection, "autocommit", False) and connection.engine not in _warned:
        _warned.add(connection.engine)
        logger.warning(
            "%r is in AUTOCOMMIT: each job is there at once, and stays whatever its session does, rollback() too; "
            "enqueue on one without isolation_level='AUTOCOMMIT'",
            connection.engine,
        )
    if isinstance(connection.get_transaction(), TwoPhaseTransaction) or getattr(
        proxied.driver_connection, "_tpc", None
    ):
        connection.execute(sql.load_for_sqlalchemy("keep_quiet"))
    return connection
