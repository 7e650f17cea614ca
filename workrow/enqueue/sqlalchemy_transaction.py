"""The part of `workrow.enqueue.transaction` that knows SQLAlchemy; loaded when an object of SQLAlchemy's comes."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import PendingRollbackError, ResourceClosedError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from workrow import sql
from workrow.errors import TransactionError

__all__ = ["ASYNC", "SYNC", "SQLAlchemyError", "driver", "driver_async", "has_failed", "run", "run_async"]

ASYNC = (AsyncSession, async_scoped_session, AsyncConnection)
SYNC = (Session, scoped_session, Connection)


async def run_async(on: AsyncSession | AsyncConnection | Any, name: str, params: Mapping[str, Any]) -> list[Any]:
    """Run the statement ``<name>.sql`` and return its rows."""
    target = on() if isinstance(on, async_scoped_session) else on
    _check_dialect(target.sync_session.get_bind() if isinstance(target, AsyncSession) else target)
    return [tuple(row) for row in await target.execute(sql.load_for_sqlalchemy(name), params)]


def run(on: Session | Connection | Any, name: str, params: Mapping[str, Any]) -> list[Any]:
    """The same for a sync session or connection."""
    target = on() if isinstance(on, scoped_session) else on
    _check_dialect(target.get_bind() if isinstance(target, Session) else target)
    return [tuple(row) for row in target.execute(sql.load_for_sqlalchemy(name), params)]


async def driver_async(on: Any) -> Any:
    """The driver's own connection, in the transaction of ``on``."""
    target = on() if isinstance(on, async_scoped_session) else on
    if isinstance(target, AsyncSession):
        target = await target.connection()
    await target.execute(sa.text("SELECT 1"))  # SQLAlchemy begins, and later commits, only what it has seen
    return (await target.get_raw_connection()).driver_connection


def driver(on: Any) -> Any:
    """The same in a sync transaction."""
    target = on() if isinstance(on, scoped_session) else on
    if isinstance(target, Session):
        target = target.connection()
    target.execute(sa.text("SELECT 1"))
    return target.connection.driver_connection


def has_failed(error: Exception) -> bool:
    """Whether the error says that the transaction is over."""
    return isinstance(error, PendingRollbackError | ResourceClosedError)


def _check_dialect(bind: Any) -> None:
    if bind.dialect.name != "postgresql":
        raise TransactionError(
            f"cannot enqueue on a {bind.dialect.name} database: jobs are rows in PostgreSQL; "
            "give a session that is bound to it"
        )
