"""The application's own tables: their metadata, and sessions to work with them."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import CursorResult, MetaData, NullPool, Result, create_engine, event, func, select
from sqlalchemy.engine import Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry

from jobs.settings import get_settings

BEHIND_POOLERS = {"prepare_threshold": None}
"""No prepared statements: PgBouncer gives the connection to others, who have statements of the same names."""
ISOLATION = "READ COMMITTED"
"""Of each transaction, whatever is the default of the database or the role: who waited for a row reads it as it is."""
SESSION = f"""
SELECT set_config('DateStyle', 'ISO', false), set_config('TimeZone', 'UTC', false),
    CASE WHEN pg_backend_pid() = %s THEN set_config('default_transaction_isolation', '{ISOLATION}', false) END
"""
"""Of each connection, likewise: psycopg reads times in no other style. PgBouncer follows the first two of each client;
the third, which single statements begin in, would be left to others."""


class Base(DeclarativeBase):
    """What every model derives from."""

    # without names of their own, alembic could not drop or change constraints
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


@cache
def engine() -> AsyncEngine:
    """The engine of this process; made at the first call, connected at the first statement."""
    settings = get_settings()
    # pre-ping: after a restart of the database, the first statement finds a live connection
    engine = create_async_engine(
        settings.sqlalchemy_url,
        pool_pre_ping=True,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        connect_args=BEHIND_POOLERS,
        isolation_level=ISOLATION,
    )
    _own(engine.sync_engine)
    return engine


def _own(engine: Engine) -> None:
    """Have connections of this engine set for themselves what the application relies on."""

    @event.listens_for(engine, "connect")
    def _(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        driver: Any = entry.driver_connection
        with closing(connection.cursor()) as cursor:
            cursor.execute(SESSION, [driver.info.backend_pid])
        connection.commit()  # a rollback would undo it


def session() -> AsyncSession:
    """A new session: ``async with session() as s, s.begin(): …`` is one transaction."""
    return AsyncSession(engine(), expire_on_commit=False)


def autocommit() -> AsyncSession:
    """A new session in which each statement is a transaction of its own, for who has just one to say."""
    return AsyncSession(_autocommit(engine()), expire_on_commit=False)


@cache
def _autocommit(engine: AsyncEngine) -> AsyncEngine:
    return engine.execution_options(isolation_level="AUTOCOMMIT")  # it has the same connections


async def now(session: AsyncSession) -> datetime:
    """This moment by the database's clock, which decides what is due whatever this computer's clock says."""
    return (await session.scalars(select(func.now()))).one()


@contextmanager
def blocking_session() -> Iterator[Session]:
    """A session on a connection of its own, for a task in a child process: closed at the end of the block."""
    url = get_settings().sqlalchemy_url
    engine = create_engine(url, poolclass=NullPool, connect_args=BEHIND_POOLERS, isolation_level=ISOLATION)
    _own(engine)
    with Session(engine, expire_on_commit=False) as session:
        yield session


def rowcount(result: Result[Any]) -> int:
    """How many rows the INSERT, UPDATE or DELETE touched whose result this is."""
    assert isinstance(result, CursorResult)
    return result.rowcount


async def in_batches(batch: Callable[[AsyncSession], Awaitable[int]]) -> int:
    """Call ``batch`` in one transaction after the other until it finds no more; returns how much it did in all.

    Each batch is committed: who is stopped in the middle loses none, and no lock is held for long.
    """
    total = 0
    while True:
        async with session() as opened, opened.begin():
            done = await batch(opened)
        if done == 0:
            return total
        total += done
