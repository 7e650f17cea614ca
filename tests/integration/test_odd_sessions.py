"""Sessions that are not as ours: another role, policies for rows, another search_path, AUTOCOMMIT and the like."""

import logging
import re
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from typing_extensions import deprecated

import workrow
from tests.integration.test_enqueue import async_transaction, sqlalchemy_url, sync_transaction
from tests.integration.test_worker import row, run
from workrow.errors import SchemaMissing


@pytest.fixture
def task(app: workrow.App) -> Any:
    @app.task(name="t")
    async def t(n: int) -> None: ...

    return t


@pytest.fixture
def role(new_role: str) -> str:
    """A role without any rights."""
    return new_role


@pytest.fixture
async def open_app(database_url: str) -> Any:
    engine = create_async_engine(sqlalchemy_url(database_url, "asyncpg"))
    app = workrow.App(database_url, sessions=async_sessionmaker(engine))
    async with app.open_async():
        yield app
    await engine.dispose()


def grant(conn: Any, message: str, role: str) -> None:
    """Do what the message asks for."""
    assert "\n" not in message
    assert len(message) < 400
    found = re.search(r"permission denied for \w+ \w+: (GRANT .*) TO the role of", message)
    assert found, message
    conn.execute(f"{found[1]} TO {role}")


@pytest.mark.parametrize("kind", ["psycopg", "psycopg-session", "psycopg2-session"])
def test_the_errors_name_one_grant_after_the_other(
    conn: Any, database_url: str, app: workrow.App, role: str, kind: str
) -> None:
    @app.task(name="limited", limits=workrow.Limit(1))
    async def limited(n: int) -> None: ...

    @app.task(name="throttled", throttle=workrow.Throttle(5, per=60))
    async def throttled(n: int) -> None: ...

    for call in (limited, throttled):
        for _ in range(12):
            with sync_transaction(kind, database_url) as on:
                on.execute(sa.text(f"SET LOCAL ROLE {role}") if "-" in kind else f"SET LOCAL ROLE {role}")
                try:
                    call.enqueue(on, n=1)
                except workrow.TransactionError as error:
                    grant(conn, str(error), role)
                    continue
                on.commit()
                break
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (2,)


@pytest.mark.parametrize("kind", ["asyncpg-session", "psycopg-connection"])
async def test_of_async_sessions_too(conn: Any, database_url: str, task: Any, role: str, kind: str) -> None:
    async with async_transaction(kind, database_url) as on:
        await on.execute(sa.text(f"SET LOCAL ROLE {role}"))
        with pytest.raises(workrow.TransactionError) as refused:
            await task.enqueue(on, n=1)
    grant(conn, str(refused.value), role)


def test_row_level_security_asks_for_a_policy(conn: Any, database_url: str, task: Any, role: str) -> None:
    conn.execute(f"GRANT ALL ON procrastinate_jobs, procrastinate_jobs_id_seq, procrastinate_workers TO {role}")
    conn.execute(f"GRANT USAGE ON SCHEMA workrow TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA workrow TO {role}")
    conn.execute("ALTER TABLE procrastinate_jobs ENABLE ROW LEVEL SECURITY")
    with psycopg.connect(database_url) as on:
        on.execute(f"SET LOCAL ROLE {role}")
        with pytest.raises(workrow.TransactionError, match="row-level security .*: CREATE POLICY … ON proc"):
            task.enqueue(on, n=1)
        on.rollback()
        conn.execute(f"CREATE POLICY jobs ON procrastinate_jobs TO {role} USING (true) WITH CHECK (true)")
        on.execute(f"SET LOCAL ROLE {role}")
        task.enqueue(on, n=1)


class TestTransactionalTasks:
    async def test_the_role_of_the_end(self, open_app: workrow.App, conn: Any, role: str) -> None:
        @open_app.task(name="tenant", transactional=True)
        async def tenant(session: AsyncSession, back: bool) -> None:
            await session.execute(sa.text(f"SET LOCAL ROLE {role}"))
            if back:
                await session.execute(sa.text("RESET ROLE"))

        job, well = await tenant.enqueue_many(None, [{"back": False}, {"back": True}])
        await run(open_app)
        grant(conn, row(conn, job)["error"], role)
        assert "the end of the job cannot be written" in row(conn, job)["error"]
        assert row(conn, well)["status"] == "succeeded"

    async def test_a_row_that_is_hidden_from_it_is_no_lost_lease(
        self, open_app: workrow.App, conn: Any, role: str
    ) -> None:
        @open_app.task(name="tenant", transactional=True)
        async def tenant(session: AsyncSession) -> None:
            await session.execute(sa.text(f"SET LOCAL ROLE {role}"))

        job = await tenant.enqueue(None)
        conn.execute(f"GRANT ALL ON procrastinate_jobs TO {role}; GRANT USAGE ON SCHEMA workrow TO {role}")
        conn.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA workrow TO {role}")
        conn.execute("ALTER TABLE procrastinate_jobs ENABLE ROW LEVEL SECURITY")
        await run(open_app)
        assert "a row level security policy hides procrastinate_jobs" in row(conn, job)["error"]


def test_another_search_path(database_url: str, task: Any) -> None:
    with psycopg.connect(database_url) as on:
        on.execute("SET LOCAL search_path = pg_catalog")
        with pytest.raises(SchemaMissing, match="where search_path looks"):
            task.enqueue(on, n=1)
        on.rollback()
        on.execute("SET LOCAL search_path = pg_catalog")
        assert task.options(unique=("n",)).enqueue(on, n=1).id, "its function looks where the tables are"


class TestAutocommit:
    async def test_is_warned_of_once(self, database_url: str, task: Any, caplog: pytest.LogCaptureFixture) -> None:
        url = sqlalchemy_url(database_url, "psycopg")
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        for _ in range(2):
            with Session(engine) as session:
                task.enqueue(session, n=1)
                session.rollback()
        assert caplog.text.count("is in AUTOCOMMIT: each job is there at once") == 1
        engine.dispose()
        for driver in ("psycopg", "asyncpg"):
            caplog.clear()
            url = sqlalchemy_url(database_url, driver)
            async_engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
            async with AsyncSession(async_engine) as async_session:
                await task.enqueue(async_session, n=1)
            assert "AUTOCOMMIT" in caplog.text
            await async_engine.dispose()

    def test_others_are_not(self, database_url: str, task: Any, caplog: pytest.LogCaptureFixture) -> None:
        with sync_transaction("psycopg2-session", database_url) as session:
            task.enqueue(session, n=1)
        with psycopg.connect(database_url, autocommit=True) as connection:
            task.enqueue(connection, n=1)
        assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_a_session_with_another_execute(database_url: str, task: Any, conn: Any) -> None:
    """As SQLModel's: its execute() is deprecated for exec()."""

    class Other(AsyncSession):
        @deprecated("use exec()")
        async def execute(self, *args: Any, **kwargs: Any) -> Any:
            return await super().execute(*args, **kwargs)

    engine = create_async_engine(sqlalchemy_url(database_url, "psycopg"))
    async with Other(engine) as session:
        await task.enqueue(session, n=1)
        await task.options(unique=("n",)).enqueue(session, n=2)
        await task.enqueue_copy(session, [{"n": 3}])
        await session.commit()
    await engine.dispose()
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (3,)


class TestPipeline:
    def test_takes_jobs_and_no_copy(self, database_url: str, task: Any, conn: Any) -> None:
        with psycopg.connect(database_url) as on, on.pipeline():
            task.enqueue(on, n=1)
            task.enqueue_many(on, [{"n": 2}, {"n": 3}])
            with pytest.raises(workrow.TransactionError, match="COPY does not work in a pipeline; use enqueue_many"):
                task.enqueue_copy(on, [{"n": 4}])
            on.commit()
        assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (3,)

    async def test_async(self, database_url: str, task: Any, conn: Any) -> None:
        async with await psycopg.AsyncConnection.connect(database_url) as on, on.pipeline():
            await task.enqueue(on, n=1)
            with pytest.raises(workrow.TransactionError, match="COPY does not work in a pipeline"):
                await task.enqueue_copy(on, [{"n": 4}])
            await on.commit()
        assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (1,)
