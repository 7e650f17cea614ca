"""A transaction that is prepared may not NOTIFY: its jobs commit with it all the same, while workers sleep."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import workrow
from tests.chaos.cluster import Cluster
from tests.integration.test_enqueue import sqlalchemy_url
from tests.integration.test_heart import Running, sleepers, until
from workrow import schema

SYNC = ["session psycopg", "session psycopg2", "scoped psycopg", "connection psycopg", "connection psycopg2", "psycopg"]
ASYNC = ["session psycopg", "session asyncpg", "psycopg"]


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server that can prepare transactions."""
    with contextlib.ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="workrow-2pc-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        cluster = Cluster(directory, directory, settings={"max_prepared_transactions": 10})
        stack.callback(cluster.destroy)
        cluster.start()
        schema.upgrade(cluster.url)
        yield cluster


@pytest.fixture
def conn(server: Cluster) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
        connection.execute("DELETE FROM workrow.sleepers")
        yield connection


@pytest.fixture
def task(server: Cluster) -> Any:
    app = workrow.App(server.url)

    @app.task(name="t")
    async def t(n: int) -> None: ...

    return t


@contextmanager
def two_phase(kind: str, url: str) -> Iterator[Any]:
    """A transaction that is prepared and then committed at the end of the block."""
    if kind == "psycopg":
        with psycopg.connect(url) as connection:
            connection.tpc_begin(connection.xid(1, "sync", "x"))
            yield connection
            connection.tpc_prepare()
            connection.tpc_commit()
        return
    engine = sa.create_engine(sqlalchemy_url(url, kind.split()[1]))
    if kind.startswith("connection"):
        with engine.connect() as connection, connection.begin_twophase() as transaction:
            yield connection
            transaction.prepare()
    elif kind.startswith("scoped"):
        scoped = scoped_session(sessionmaker(engine, twophase=True))
        yield scoped
        scoped.commit()
        scoped.remove()
    else:
        with Session(engine, twophase=True) as session:
            yield session
            session.commit()
    engine.dispose()


@asynccontextmanager
async def two_phase_async(kind: str, url: str) -> AsyncIterator[Any]:
    if kind == "psycopg":
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.tpc_begin(connection.xid(1, "async", "x"))
            yield connection
            await connection.tpc_prepare()
            await connection.tpc_commit()
        return
    engine = create_async_engine(sqlalchemy_url(url, kind.split()[1]))
    async with AsyncSession(engine, twophase=True) as session:
        yield session
        await session.commit()
    await engine.dispose()


def stored(conn: Any) -> int:
    return int(conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()[0])


ROWS = [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("kind", SYNC)
def test_whatever_is_enqueued_commits_while_a_worker_sleeps(conn: Any, server: Cluster, task: Any, kind: str) -> None:
    conn.execute("INSERT INTO workrow.sleepers (worker_id) VALUES (1)")
    with two_phase(kind, server.url) as on:
        task.enqueue(on, n=1)
        task.enqueue_many(on, ROWS)
        task.options(unique=("n",)).enqueue(on, n=3)
        if "psycopg2" not in kind:
            task.enqueue_copy(on, ROWS)
    assert stored(conn) == (4 if "psycopg2" in kind else 6)


@pytest.mark.parametrize("kind", ASYNC)
async def test_in_async_transactions_too(conn: Any, server: Cluster, task: Any, kind: str) -> None:
    conn.execute("INSERT INTO workrow.sleepers (worker_id) VALUES (1)")
    async with two_phase_async(kind, server.url) as on:
        await task.enqueue(on, n=1)
        await task.enqueue_many(on, ROWS)
        await task.options(unique=("n",)).enqueue(on, n=3)
        if "asyncpg" not in kind:
            await task.enqueue_copy(on, ROWS)
    assert stored(conn) == (4 if "asyncpg" in kind else 6)


def test_who_prepares_by_sql_says_so(conn: Any, server: Cluster, task: Any) -> None:
    conn.execute("INSERT INTO workrow.sleepers (worker_id) VALUES (1)")
    with psycopg.connect(server.url, autocommit=True) as on:
        on.execute("BEGIN")
        task.enqueue(on, n=1)
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot PREPARE a transaction"):
            on.execute("PREPARE TRANSACTION 'loud'")
        on.execute("BEGIN")
        on.execute("SET LOCAL workrow.notify = off")
        task.enqueue(on, n=1)
        on.execute("PREPARE TRANSACTION 'quiet'")
        on.execute("COMMIT PREPARED 'quiet'")
    assert stored(conn) == 1


async def test_the_sleeping_worker_runs_it_and_the_next_transaction_notifies(conn: Any, server: Cluster) -> None:
    app, ran = workrow.App(server.url), asyncio.Event()

    @app.task(name="runs")
    async def runs() -> None:
        ran.set()

    engine = create_async_engine(sqlalchemy_url(server.url, "psycopg"))
    async with asyncio.timeout(60), app.open_async(), Running(app):
        await until(lambda: sleepers(conn), 30)
        async with async_sessionmaker(engine, twophase=True).begin() as session:
            await runs.enqueue(session)
        await ran.wait()
    async with engine.connect() as connection:  # the same from the pool
        setting = await connection.scalar(sa.text("SELECT current_setting('workrow.notify', true)"))
    assert not setting
    await engine.dispose()
