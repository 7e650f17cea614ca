"""Transactional tasks that commit, roll back, swallow errors or touch their own row: what becomes of them is said, and
no job is taken for ended whose effects are not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_trust import status
from tests.integration.test_worker import row, run
from workrow.database.urls import libpq_url
from workrow.worker.running.endings import ends_transaction

WRITE = text("INSERT INTO effects VALUES ('x')")
CONFLICT = text("DO $$ BEGIN RAISE 'conflict' USING ERRCODE = '40001'; END $$")


@pytest.fixture(params=["psycopg", "asyncpg"])
async def open_app(
    request: pytest.FixtureRequest, database_url: str, conn: psycopg.Connection[Any]
) -> AsyncIterator[workrow.App]:
    conn.execute("CREATE TABLE effects (what text)")
    url = libpq_url(database_url)
    engine = create_async_engine(url.replace("postgresql://", f"postgresql+{request.param}://"))
    sync_engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    app = workrow.App(database_url, sessions=async_sessionmaker(engine), sync_sessions=sessionmaker(sync_engine))
    async with app.open_async():
        yield app
    await engine.dispose()
    sync_engine.dispose()


def effects(conn: Any) -> int:
    return int(conn.execute("SELECT count(*) FROM effects").fetchone()[0])


async def sql_commit(session: AsyncSession) -> None:
    await session.execute(text("COMMIT"))


async def sql_commit_and_begin(session: AsyncSession) -> None:
    await session.execute(text("/* all */ commit"))
    await session.execute(text("BEGIN"))


async def sql_rollback(session: AsyncSession) -> None:
    await session.execute(text("ROLLBACK"))


async def swallowed(session: AsyncSession) -> None:
    with suppress(workrow.TransactionError):
        await session.execute(text("ROLLBACK"))


async def connection_commit(session: AsyncSession) -> None:
    await (await session.connection()).commit()


async def connection_rollback(session: AsyncSession) -> None:
    await (await session.connection()).rollback()


async def rollback(session: AsyncSession) -> None:
    await session.rollback()


async def close(session: AsyncSession) -> None:
    await session.close()


REFUSED = "a transactional task neither commits nor rolls back: {} was refused.*, and nothing of this attempt stays"
ROLLED_BACK = "the task has rolled its transaction back, .* nothing of this attempt stays"


@pytest.mark.filterwarnings("ignore:transaction already deassociated")
@pytest.mark.parametrize(
    ("end", "told"),
    [
        (sql_commit, REFUSED.format("'COMMIT'")),
        (sql_commit_and_begin, REFUSED.format("'COMMIT'")),
        (sql_rollback, REFUSED.format("'ROLLBACK'")),
        (swallowed, REFUSED.format("'ROLLBACK'")),
        (connection_commit, REFUSED.format(r"connection\.commit\(\)")),
        (connection_rollback, ROLLED_BACK),
        (rollback, ROLLED_BACK),
        (close, ROLLED_BACK),
    ],
)
async def test_ending_the_transaction_fails_the_attempt_and_leaves_nothing(
    open_app: workrow.App,
    conn: Any,
    end: Callable[[AsyncSession], Awaitable[None]],
    told: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    @open_app.task(name="ends", transactional=True)
    async def ends(session: AsyncSession) -> None:
        await session.execute(WRITE)
        await end(session)

    job = await ends.enqueue(None)
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["error_type"], effects(conn)) == ("failed", "workrow.errors.TransactionError", 0)
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(found["error"])


async def test_past_the_session_psycopg_refuses_it_and_asyncpg_notices_it_at_the_end(
    open_app: workrow.App, conn: Any
) -> None:
    drivers: list[Any] = []

    @open_app.task(name="raw", transactional=True)
    async def raw(session: AsyncSession) -> None:
        await session.execute(WRITE)
        drivers.append((await (await session.connection()).get_raw_connection()).driver_connection)
        await drivers[0].execute("COMMIT")

    job = await raw.enqueue(None)
    await run(open_app)
    error = row(conn, job)["error"]
    if isinstance(drivers[0], psycopg.AsyncConnection):
        assert (status(conn, job), effects(conn)) == ("failed", 0)
        assert "'COMMIT' was refused before it ran" in error
        assert drivers[0].cursor_factory is psycopg.AsyncCursor  # as it was
    else:
        assert (status(conn, job), effects(conn)) == ("failed", 1)
        assert "had ended before the task did" in error
        assert "what was committed stays, without the end of the job" in error


async def test_autocommit_is_refused_before_anything_is_written(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="auto", transactional=True)
    async def auto(session: AsyncSession) -> None:
        await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        await session.execute(WRITE)

    job = await auto.enqueue(None)
    await run(open_app)
    assert (status(conn, job), effects(conn)) == ("failed", 0)
    assert "AUTOCOMMIT" in row(conn, job)["error"]


@pytest.mark.parametrize("statement", ["COMMIT", "COMMIT; BEGIN", "SELECT 1; rollback"])
async def test_on_psycopgs_connections_and_sync_sessions(open_app: workrow.App, conn: Any, statement: str) -> None:
    @open_app.task(name="async", transactional=True)
    async def on_async(connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute("INSERT INTO effects VALUES ('x')")
        async with connection.cursor() as cursor:
            await cursor.execute(statement.encode())

    @open_app.task(name="sync", transactional=True)
    def on_sync(connection: psycopg.Connection[Any]) -> None:
        connection.execute("INSERT INTO effects VALUES ('x')")
        connection.execute(psycopg.sql.SQL(statement))  # type: ignore[arg-type]

    @open_app.task(name="session", transactional=True)
    def in_session(session: Session) -> None:
        session.execute(WRITE)
        session.connection().exec_driver_sql(statement)

    jobs = [await task.enqueue(None) for task in (on_async, on_sync, in_session)]
    await run(open_app)
    assert [status(conn, job) for job in jobs] == ["failed"] * 3
    assert all("was refused before it ran" in row(conn, job)["error"] for job in jobs)
    assert effects(conn) == 0
    # the connections are as they were
    connector: Any = open_app.connector
    async with connector.pool.connection() as connection:
        await connection.execute("SELECT 1; COMMIT")


async def test_savepoints_are_the_tasks_own(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="parts", transactional=True)
    async def parts(session: AsyncSession) -> None:
        with suppress(Exception):
            async with session.begin_nested():
                await session.execute(WRITE)
                await session.execute(text("SELECT 1/0"))
        await session.execute(text("SAVEPOINT own"))
        await session.execute(WRITE)
        await session.execute(text("ROLLBACK TO own"))
        await session.execute(WRITE)

    @open_app.task(name="psycopg", transactional=True)
    async def with_psycopg(connection: psycopg.AsyncConnection[Any]) -> None:
        with suppress(Exception):
            async with connection.transaction():
                await connection.execute("SELECT 1/0")
        await connection.execute("INSERT INTO effects VALUES (%s)", ["a; COMMIT"])

    jobs = [await task.enqueue(None) for task in (parts, with_psycopg)]
    await run(open_app)
    assert ([status(conn, job) for job in jobs], effects(conn)) == (["succeeded"] * 2, 2)


class TestSwallowedErrors:
    async def test_are_named_for_what_they_are(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="session", transactional=True)
        async def in_session(session: AsyncSession) -> None:
            with suppress(Exception):
                await session.execute(text("SELECT 1/0"))

        @open_app.task(name="psycopg", transactional=True)
        def with_psycopg(connection: psycopg.Connection[Any]) -> None:
            with suppress(Exception):
                connection.execute("SELECT 1/0")

        jobs = [await task.enqueue(None) for task in (in_session, with_psycopg)]
        await run(open_app)
        for job in jobs:
            found = row(conn, job)
            assert found["status"] == "failed"
            assert "can only roll back: " in found["error"]
            assert "division by zero" in found["error"]
            assert "begin_nested" in found["error"]
            assert "enqueue" not in found["error"]

    async def test_a_conflict_is_repeated(self, open_app: workrow.App, conn: Any) -> None:
        tries: list[str] = []

        @open_app.task(name="session", transactional=True)
        async def in_session(session: AsyncSession) -> None:
            tries.append("session")
            await session.execute(WRITE)
            if tries.count("session") < 3:
                with suppress(Exception):
                    await session.execute(CONFLICT)

        @open_app.task(name="psycopg", transactional=True)
        async def with_psycopg(connection: psycopg.AsyncConnection[Any]) -> None:
            tries.append("psycopg")
            await connection.execute("INSERT INTO effects VALUES ('x')")
            if tries.count("psycopg") < 3:
                with suppress(Exception):
                    await connection.execute(CONFLICT.text)

        jobs = [await task.enqueue(None) for task in (in_session, with_psycopg)]
        await run(open_app)
        assert [(status(conn, job), row(conn, job)["attempts"]) for job in jobs] == [("succeeded", 1)] * 2
        assert (len(tries), effects(conn)) == (6, 2)

    @pytest.mark.parametrize(
        ("statement", "told"),
        [
            ("SET LOCAL search_path = pg_catalog", "the task has set search_path; set it back"),
            ("SET TRANSACTION READ ONLY", "the task's transaction is read only"),
        ],
    )
    async def test_settings_that_hinder_the_end(
        self, open_app: workrow.App, conn: Any, statement: str, told: str
    ) -> None:
        @open_app.task(name="sets", transactional=True)
        async def sets(session: AsyncSession) -> None:
            await session.execute(text(statement))

        job = await sets.enqueue(None)
        await run(open_app)
        assert status(conn, job) == "failed"
        assert told in row(conn, job)["error"]

    async def test_another_database(self, open_app: workrow.App, conn: Any, empty_database_url: str) -> None:
        url = libpq_url(empty_database_url).replace("postgresql://", "postgresql+psycopg://")
        open_app.sessions = async_sessionmaker(engine := create_async_engine(url))

        @open_app.task(name="elsewhere", transactional=True)
        async def elsewhere(session: AsyncSession) -> None: ...

        job = await elsewhere.enqueue(None)
        await run(open_app)
        await engine.dispose()
        assert "bound to another database than the app" in row(conn, job)["error"]


class TestItsOwnRow:
    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM procrastinate_jobs WHERE id = :id",
            "UPDATE procrastinate_jobs SET status = 'todo' WHERE id = :id",
            "UPDATE procrastinate_jobs SET worker_id = NULL WHERE id = :id",
        ],
    )
    async def test_is_the_workers_to_end(self, open_app: workrow.App, conn: Any, statement: str) -> None:
        tries: list[int] = []

        @open_app.task(name="own", transactional=True, retry=workrow.Retry(max_attempts=2, wait=0))
        async def own(session: AsyncSession, ctx: workrow.JobContext) -> None:
            tries.append(1)
            await session.execute(WRITE)
            await session.execute(text(statement), {"id": ctx.job.id})

        job = await own.enqueue(None)
        async with asyncio.timeout(15), Running(open_app):
            await until(lambda: status(conn, job) == "failed")
        assert (row(conn, job)["attempts"], len(tries), effects(conn)) == (2, 2, 0)
        assert "its own row in procrastinate_jobs" in row(conn, job)["error"]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("COMMIT", "COMMIT"),
        (" -- so\n /* it\nis */ end ;", "END"),
        ("ABORT", "ABORT"),
        ("prepare  transaction 'x'", "PREPARE TRANSACTION"),
        ("ROLLBACK AND CHAIN", "ROLLBACK"),
        ("SELECT 1;; /* */ commit", "COMMIT"),
        ("ROLLBACK TO SAVEPOINT a", None),
        ("rollback work to a", None),
        ("PREPARE x AS SELECT 1", None),
        ("SELECT '; commit', E'\\'; commit', \"; commit\" -- ; commit", None),
        ("DO $a$ BEGIN PERFORM 1; COMMIT; END $a$; SELECT 1", None),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END", None),
        ("committed", None),
    ],
)
def test_what_ends_a_transaction(statement: str, found: str | None) -> None:
    assert ends_transaction(statement) == found
