"""One statement and one round trip for a job of its own; COPY for very many."""

import os
import socket
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

import workrow
from tests.integration.test_enqueue import async_transaction, sync_transaction


@pytest.fixture
def number(app: workrow.App) -> workrow.Task[[int, str], None]:
    @app.task(name="number", queue="numbers\\t", priority=4)
    async def number(n: int, text: str = "") -> None: ...

    return number


async def test_a_job_of_its_own_takes_one_transaction_and_no_check(
    open_app: workrow.App, number: Any, conn: Any
) -> None:
    async def calls() -> int:
        row = conn.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()").fetchone()
        assert row
        query = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        return int(conn.execute(query).fetchone()[0])

    for n in range(3):
        await number.enqueue(None, n)
    async with open_app.connector.pool.connection() as connection:  # type: ignore[attr-defined]
        await connection.execute("SELECT pg_stat_force_next_flush()")
    before = await calls()
    for n in range(50):
        await number.enqueue(None, n)
    async with open_app.connector.pool.connection() as connection:  # type: ignore[attr-defined]
        await connection.execute("SELECT pg_stat_force_next_flush()")
    # each statement in autocommit mode is a transaction: a check would be 50 more; others have some in this database
    assert 50 <= await calls() - before <= 75


async def test_a_connection_that_died_idle_is_replaced(open_app: workrow.App, number: Any, conn: Any) -> None:
    for n in range(3):
        await number.enqueue(None, n)
        number.delay(n)
        conn.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await number.enqueue(None, 3)
    number.delay(3)
    rows = conn.execute("SELECT args->>'n', count(*) FROM procrastinate_jobs GROUP BY 1 ORDER BY 1").fetchall()
    assert rows == [(str(n), 2) for n in range(4)]


def many(count: int) -> Iterator[dict[str, Any]]:
    return ({"n": n, "text": 'a\\\tb\nc "ü" \\N \\.'} for n in range(count))


@pytest.mark.parametrize("kind", ["psycopg-session", "psycopg-connection", "psycopg", "scoped"])
class TestCopy:
    async def test_async(self, kind: str, database_url: str, number: Any, conn: Any) -> None:
        async with async_transaction(kind, database_url) as on:
            assert await number.enqueue_copy(on, many(3000)) == 3000
            assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
            await on.commit()
            await number.enqueue_copy(on, many(10))
            await on.rollback()
        self.check(conn, 3000)

    def test_sync(self, kind: str, database_url: str, number: Any, conn: Any) -> None:
        with sync_transaction(kind, database_url) as on:
            assert number.options(lock="l\\ \n").enqueue_copy(on, many(2000)) == 2000
            on.commit()
        self.check(conn, 2000)
        assert conn.execute("SELECT DISTINCT lock FROM procrastinate_jobs").fetchall() == [("l\\ \n",)]

    @staticmethod
    def check(conn: Any, count: int) -> None:
        rows = conn.execute(
            "SELECT queue_name, priority, CAST(args->>'n' AS int), args->>'text' FROM procrastinate_jobs ORDER BY id"
        ).fetchall()
        assert rows == [("numbers\\t", 4, each["n"], each["text"]) for each in many(count)]


class TestCopyRefuses:
    def test_a_bad_row_and_nothing_is_kept(self, number: Any, database_url: str, conn: Any) -> None:
        with psycopg.connect(database_url) as connection:
            with pytest.raises(workrow.ArgumentError, match="missing a required argument: 'n'"):
                number.enqueue_copy(connection, iter([{"n": 1}, {}]))
            connection.rollback()
        assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)

    def test_a_connection_that_is_lost_at_its_end_is_named(self, number: Any, database_url: str) -> None:
        def rows(connection: psycopg.Connection) -> Iterator[dict[str, Any]]:
            yield {"n": 1}
            with socket.socket(fileno=os.dup(connection.pgconn.socket)) as half:
                half.shutdown(socket.SHUT_WR)

        lost = pytest.raises(psycopg.OperationalError, match="lost at the end of COPY")
        with psycopg.connect(database_url) as connection, lost:
            number.enqueue_copy(connection, rows(connection))

    async def test_other_drivers(self, number: Any, database_url: str) -> None:
        engine = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://"))
        async with AsyncSession(engine) as session:
            with pytest.raises(workrow.TransactionError, match="COPY needs psycopg's driver"):
                await number.enqueue_copy(session, [])
        await engine.dispose()
        sync = sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg2://"))
        with sync.connect() as connection, pytest.raises(workrow.TransactionError, match="use enqueue_many"):
            number.enqueue_copy(connection, [])
        sync.dispose()

    def test_a_queueing_lock(self, number: Any, conn: Any) -> None:
        with pytest.raises(workrow.OptionError, match="queueing_lock='q' and COPY"):
            number.options(queueing_lock="q").enqueue_copy(conn, [])


async def test_copy_has_no_transaction_of_its_own(open_app: workrow.App) -> None:
    @open_app.task(name="number")
    async def number(n: int) -> None: ...

    with pytest.raises(workrow.TransactionError, match=r"a transaction of yours; .*enqueue_many\(None"):
        number.enqueue_copy(None, [{"n": 1}])  # type: ignore[call-overload]
