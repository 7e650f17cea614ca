"""A job exists exactly if its transaction committed, whichever driver runs the transaction."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from procrastinate.exceptions import AppNotOpen, ConnectorException, UnboundTaskError
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import workrow
from workrow.testing import inline

ASYNC = ["psycopg-session", "asyncpg-session", "psycopg-connection", "asyncpg-connection", "psycopg", "scoped"]
SYNC = ["psycopg-session", "psycopg2-session", "psycopg-connection", "psycopg2-connection", "psycopg", "scoped"]


def sqlalchemy_url(url: str, driver: str) -> str:
    return url.replace("postgresql://", f"postgresql+{driver}://")


@asynccontextmanager
async def async_transaction(kind: str, url: str) -> AsyncIterator[Any]:
    """Something async with an open transaction that the block commits or rolls back by itself."""
    if kind == "psycopg":
        async with await psycopg.AsyncConnection.connect(url) as connection:
            yield connection
            await connection.rollback()
        return
    driver = "asyncpg" if kind.startswith("asyncpg") else "psycopg"
    engine = create_async_engine(sqlalchemy_url(url, driver))
    try:
        if kind.endswith("connection"):
            async with engine.connect() as connection:
                yield connection
        elif kind == "scoped":
            scoped = async_scoped_session(async_sessionmaker(engine), scopefunc=lambda: 1)
            yield scoped
            await scoped.remove()
        else:
            async with AsyncSession(engine) as session:
                yield session
    finally:
        await engine.dispose()


@contextmanager
def sync_transaction(kind: str, url: str) -> Iterator[Any]:
    if kind == "psycopg":
        with psycopg.connect(url) as connection:
            yield connection
            connection.rollback()
        return
    engine = sa.create_engine(sqlalchemy_url(url, "psycopg2" if kind.startswith("psycopg2") else "psycopg"))
    try:
        if kind.endswith("connection"):
            with engine.connect() as connection:
                yield connection
        elif kind == "scoped":
            scoped = scoped_session(sessionmaker(engine))
            yield scoped
            scoped.remove()
        else:
            with Session(engine) as session:
                yield session
    finally:
        engine.dispose()


@pytest.fixture
def greet(app: workrow.App) -> workrow.Task[[str, int], str]:
    @app.task(name="greet", queue="greetings", priority=3)
    async def greet(name: str, times: int = 1) -> str:
        return name * times

    return greet


def stored(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT task_name, queue_name, priority, args FROM procrastinate_jobs ORDER BY id").fetchall()


@pytest.mark.parametrize("kind", ASYNC)
class TestAsync:
    async def test_commit_keeps_the_job(self, kind: str, database_url: str, greet: Any, conn: Any) -> None:
        async with async_transaction(kind, database_url) as on:
            job = await greet.enqueue(on, "Ada", times=2)
            assert stored(conn) == []
            await on.commit()
        assert stored(conn) == [("greet", "greetings", 3, {"name": "Ada", "times": 2})]
        assert conn.execute("SELECT id FROM procrastinate_jobs").fetchone() == (job.id,)
        assert job == workrow.Job(job.id, "greet", "greetings")

    async def test_rollback_leaves_no_job(self, kind: str, database_url: str, greet: Any, conn: Any) -> None:
        async with async_transaction(kind, database_url) as on:
            await greet.enqueue(on, "Ada")
            await on.rollback()
        assert stored(conn) == []

    async def test_savepoint_rollback_leaves_no_job(self, kind: str, database_url: str, greet: Any, conn: Any) -> None:
        async with async_transaction(kind, database_url) as on:
            await greet.enqueue(on, "kept")
            if kind == "psycopg":
                async with on.transaction():
                    await greet.enqueue(on, "dropped")
                    raise psycopg.Rollback
            else:
                savepoint = await on.begin_nested()
                await greet.enqueue(on, "dropped")
                await savepoint.rollback()
            await on.commit()
        assert [row[3]["name"] for row in stored(conn)] == ["kept"]

    async def test_many_in_one_statement_in_order(self, kind: str, database_url: str, greet: Any, conn: Any) -> None:
        async with async_transaction(kind, database_url) as on:
            jobs = await greet.enqueue_many(on, [{"name": str(n)} for n in range(500)])
            await on.commit()
        rows = conn.execute("SELECT id, args->>'name' FROM procrastinate_jobs ORDER BY id").fetchall()
        assert rows == [(job.id, str(n)) for n, job in enumerate(jobs)]

    async def test_all_options_reach_the_row(self, kind: str, database_url: str, greet: Any, conn: Any) -> None:
        at = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
        call = greet.options(at=at, priority=-7, queue="other", lock="l", queueing_lock="q")
        async with async_transaction(kind, database_url) as on:
            await call.enqueue(on, "Ada")
            await on.commit()
        columns = "scheduled_at, priority, queue_name, lock, queueing_lock"
        assert conn.execute(f"SELECT {columns} FROM procrastinate_jobs").fetchone() == (at, -7, "other", "l", "q")

    async def test_a_taken_queueing_lock_leaves_the_transaction_usable(
        self, kind: str, database_url: str, greet: Any, conn: Any
    ) -> None:
        once = greet.options(queueing_lock="once")
        async with async_transaction(kind, database_url) as on:
            await once.enqueue(on, "first")
            with pytest.raises(workrow.AlreadyEnqueued, match="queueing_lock='once'"):
                await once.enqueue(on, "second")
            with pytest.raises(workrow.AlreadyEnqueued):
                await once.options(queueing_lock="twins").enqueue_many(on, [{"name": "a"}, {"name": "b"}])
            await greet.enqueue(on, "third")
            await on.commit()
        assert [row[3]["name"] for row in stored(conn)] == ["first", "third"]

    async def test_a_failed_transaction_is_named(self, kind: str, database_url: str, greet: Any, conn: Any) -> None:
        statement = "SELECT 1/0" if kind == "psycopg" else sa.text("SELECT 1/0")
        async with async_transaction(kind, database_url) as on:
            with pytest.raises(Exception, match="division by zero"):
                await on.execute(statement)
            with pytest.raises(workrow.TransactionError, match=r"has failed already|has failed or is closed"):
                await greet.enqueue(on, "Ada")
            await on.rollback()
        assert stored(conn) == []

    async def test_a_read_only_transaction_is_named(self, kind: str, database_url: str, greet: Any) -> None:
        statement = "SET TRANSACTION READ ONLY"
        async with async_transaction(kind, database_url) as on:
            await on.execute(statement if kind == "psycopg" else sa.text(statement))
            with pytest.raises(workrow.TransactionError, match="read-only"):
                await greet.enqueue(on, "Ada")
            await on.rollback()

    async def test_procrastinates_own_spelling_joins_the_transaction(
        self, kind: str, database_url: str, greet: Any, conn: Any
    ) -> None:
        async with async_transaction(kind, database_url) as on:
            id_ = await greet.configure(connection=on, queue="mine").defer_async(name="Ada")
            ids = await greet.configure(connection=on).batch_defer_async({"name": "B"}, {"name": "C"})
            assert stored(conn) == []
            await on.commit()
            await greet.configure(connection=on).defer_async(name="nobody")
            await on.rollback()
        rows = conn.execute("SELECT id, queue_name, args->>'name' FROM procrastinate_jobs ORDER BY id").fetchall()
        assert rows == [(id_, "mine", "Ada"), (ids[0], "greetings", "B"), (ids[1], "greetings", "C")]


@pytest.mark.parametrize("kind", SYNC)
class TestSync:
    def test_commit_keeps_and_rollback_drops(self, kind: str, database_url: str, greet: Any, conn: Any) -> None:
        with sync_transaction(kind, database_url) as on:
            job = greet.enqueue(on, "Ada", times=2)
            assert isinstance(job, workrow.Job)
            assert stored(conn) == []
            on.commit()
            greet.enqueue(on, "nobody")
            on.rollback()
        assert stored(conn) == [("greet", "greetings", 3, {"name": "Ada", "times": 2})]

    def test_savepoint_rollback_leaves_no_job(self, kind: str, database_url: str, greet: Any, conn: Any) -> None:
        with sync_transaction(kind, database_url) as on:
            greet.enqueue(on, "kept")
            if kind == "psycopg":
                with on.transaction():
                    greet.enqueue(on, "dropped")
                    raise psycopg.Rollback
            else:
                savepoint = on.begin_nested()
                greet.enqueue(on, "dropped")
                savepoint.rollback()
            on.commit()
        assert [row[3]["name"] for row in stored(conn)] == ["kept"]

    def test_many_and_a_taken_queueing_lock(self, kind: str, database_url: str, greet: Any, conn: Any) -> None:
        with sync_transaction(kind, database_url) as on:
            jobs = greet.enqueue_many(on, [{"name": str(n)} for n in range(100)])
            once = greet.options(queueing_lock="once")
            once.enqueue(on, "first")
            with pytest.raises(workrow.AlreadyEnqueued):
                once.enqueue(on, "second")
            on.commit()
        rows = conn.execute("SELECT id, args->>'name' FROM procrastinate_jobs ORDER BY id").fetchall()
        assert rows[:100] == [(job.id, str(n)) for n, job in enumerate(jobs)]
        assert [row[1] for row in rows[100:]] == ["first"]

    def test_failed_and_read_only_are_named(self, kind: str, database_url: str, greet: Any) -> None:
        def text(statement: str) -> Any:
            return statement if kind == "psycopg" else sa.text(statement)

        with sync_transaction(kind, database_url) as on:
            with pytest.raises(Exception, match="division by zero"):
                on.execute(text("SELECT 1/0"))
            with pytest.raises(workrow.TransactionError, match=r"has failed already|has failed or is closed"):
                greet.enqueue(on, "Ada")
            on.rollback()
            on.execute(text("SET TRANSACTION READ ONLY"))
            with pytest.raises(workrow.TransactionError, match="read-only"):
                greet.enqueue(on, "Ada")
            on.rollback()

    def test_procrastinates_own_spelling_joins_the_transaction(
        self, kind: str, database_url: str, greet: Any, conn: Any
    ) -> None:
        with sync_transaction(kind, database_url) as on:
            greet.configure(connection=on).defer(name="Ada")
            greet.configure(connection=on).batch_defer({"name": "B"}, {"name": "C"})
            assert stored(conn) == []
            on.commit()
        assert [row[3]["name"] for row in stored(conn)] == ["Ada", "B", "C"]


async def test_a_session_whose_flush_failed_is_named(database_url: str, greet: Any) -> None:
    engine = create_async_engine(sqlalchemy_url(database_url, "psycopg"))
    async with AsyncSession(engine) as session:
        await session.execute(sa.text("CREATE TEMP TABLE thing (id int PRIMARY KEY)"))
        await session.execute(sa.text("INSERT INTO thing VALUES (1)"))
        with pytest.raises(sa.exc.IntegrityError):
            await session.execute(sa.text("INSERT INTO thing VALUES (1)"))
        with pytest.raises(workrow.TransactionError, match="roll it back first"):
            await greet.enqueue(session, "Ada")
    await engine.dispose()


class TestOwnTransaction:
    async def test_enqueue_none(self, open_app: workrow.App, greet: Any, conn: Any) -> None:
        job = await greet.enqueue(None, "Ada")
        jobs = await greet.enqueue_many(None, [{"name": "B"}, {"name": "C"}])
        assert [row[3]["name"] for row in stored(conn)] == ["Ada", "B", "C"]
        assert job.id < jobs[0].id < jobs[1].id
        assert await greet.enqueue_many(None, []) == []

    async def test_enqueue_none_on_an_app_that_is_not_open(self, greet: Any) -> None:
        with pytest.raises(AppNotOpen, match="async with app.open_async"):
            await greet.enqueue(None, "Ada")

    def test_delay_opens_by_itself(self, app: workrow.App, greet: Any, conn: Any) -> None:
        job = greet.delay("Ada", times=2)
        assert stored(conn) == [("greet", "greetings", 3, {"name": "Ada", "times": 2})]
        assert job.id > 0
        app.close()

    async def test_delay_inside_a_running_loop(self, open_app: workrow.App, greet: Any, conn: Any) -> None:
        greet.delay("Ada")
        assert len(stored(conn)) == 1

    def test_apply_async_takes_celerys_options(self, app: workrow.App, greet: Any, conn: Any) -> None:
        before = datetime.now(UTC)
        greet.apply_async(("Ada",), {"times": 2}, countdown=60, queue="other", priority=9)
        greet.apply_async(args=["Bob"], eta=before + timedelta(hours=1))
        app.close()
        first, second = conn.execute(
            "SELECT queue_name, priority, scheduled_at, args FROM procrastinate_jobs ORDER BY id"
        ).fetchall()
        assert first[:2] == ("other", 9)
        assert timedelta(seconds=59) < first[2] - before < timedelta(seconds=70)
        assert first[3] == {"name": "Ada", "times": 2}
        assert second == ("greetings", 3, before + timedelta(hours=1), {"name": "Bob"})

    async def test_procrastinates_own_defer(self, open_app: workrow.App, greet: Any, conn: Any) -> None:
        await greet.defer_async(name="Ada")
        await greet.batch_defer_async({"name": "B"}, {"name": "C"})
        assert len(stored(conn)) == 3


class TestBadInput:
    @pytest.mark.parametrize(
        ("on", "message"),
        [
            ("postgresql://…", "expected an SQLAlchemy AsyncSession"),
            (sa.create_engine("postgresql+psycopg://"), "an engine has no transaction"),
        ],
    )
    def test_what_is_no_transaction(self, greet: Any, on: Any, message: str) -> None:
        with pytest.raises(workrow.TransactionError, match=message):
            greet.enqueue(on, "Ada")

    def test_a_session_on_another_database(self, greet: Any) -> None:
        engine = sa.create_engine("sqlite://")
        with Session(engine) as session, pytest.raises(workrow.TransactionError, match="sqlite"):
            greet.enqueue(session, "Ada")
        engine.dispose()

    def test_a_closed_connection(self, greet: Any, database_url: str) -> None:
        connection = psycopg.connect(database_url)
        connection.close()
        with pytest.raises(workrow.TransactionError, match="the Connection is closed"):
            greet.enqueue(connection, "Ada")

    def test_a_database_that_was_never_migrated(self, greet: Any, empty_database_url: str) -> None:
        with (
            psycopg.connect(empty_database_url) as connection,
            pytest.raises(workrow.SchemaError, match="alembic upgrade head"),
        ):
            greet.enqueue(connection, "Ada")

    @pytest.mark.parametrize(
        ("args", "kwargs", "message"),
        [
            ((), {}, "missing a required argument: 'name'"),
            (("Ada",), {"nmae": 1}, "unexpected keyword argument 'nmae'"),
            (("Ada", 1, 2), {}, "too many positional arguments"),
            ((object(),), {}, r"greet: argument name=<object .* does not fit str: Input should be a valid string"),
            ((float("nan"),), {}, "argument name=nan does not fit str"),
            (("a\x00b",), {}, "NUL"),
            (("\ud800",), {}, "argument name="),
            (("Ada", "3"), {}, "argument times='3' does not fit int: Input should be a valid integer"),
        ],
    )
    def test_arguments_that_do_not_fit(self, greet: Any, conn: Any, args: Any, kwargs: Any, message: str) -> None:
        with pytest.raises(workrow.ArgumentError, match=message):
            greet.enqueue(conn, *args, **kwargs)
        with pytest.raises(workrow.ArgumentError, match=message):
            greet.delay(*args, **kwargs)
        assert stored(conn) == []

    def test_one_bad_row_of_many_enqueues_none(self, greet: Any, conn: Any) -> None:
        with pytest.raises(workrow.ArgumentError, match="missing a required argument"):
            greet.enqueue_many(conn, [{"name": "Ada"}, {}])
        assert stored(conn) == []

    def test_a_text_that_only_looks_like_a_nul(self, greet: Any, conn: Any) -> None:
        greet.enqueue(conn, "\\u0000 \\x00 ü 🎉")
        assert stored(conn)[0][3] == {"name": "\\u0000 \\x00 ü 🎉"}

    def test_sync_defer_on_an_async_session(self, greet: Any) -> None:
        with pytest.raises(ConnectorException, match="defer_async"):
            greet.configure(connection=AsyncSession()).defer(name="Ada")

    def test_a_blueprint_on_no_app(self) -> None:
        blueprint = workrow.Blueprint("lonely")

        @blueprint.task
        def task() -> None: ...

        with pytest.raises(UnboundTaskError, match="app.include"):
            task.delay()


@pytest.mark.parametrize("args", [(), (1,), ({"name": "Ada"},), ("Ada",)])
def test_who_forgets_the_session_is_told_so(args: Any, greet: Any) -> None:
    with pytest.raises(workrow.TransactionError, match="the first argument is the transaction"):
        greet.enqueue(*args)
    with pytest.raises(workrow.TransactionError, match="the first argument is the transaction"):
        greet.enqueue_many([{"name": "Ada"}], [])
    for sister in (greet.enqueue_many, greet.enqueue_copy, greet.options(priority=1).enqueue_many):
        for rows in ((), ([{"name": "Ada"}],), (iter([{"name": "Ada"}]),)):
            with pytest.raises(workrow.TransactionError, match="the first argument is the transaction"):
                sister(*rows)
        with inline(), pytest.raises(workrow.TransactionError, match="the first argument is the transaction"):
            sister([{"name": "Ada"}])


def test_who_forgets_the_rows_is_told_so(greet: Any, database_url: str) -> None:
    with sync_transaction("psycopg", database_url) as on:
        for sister in (greet.enqueue_many, greet.enqueue_copy):
            with pytest.raises(workrow.ArgumentError, match="rows=nothing: must be an iterable of mappings"):
                sister(on)


def test_what_nobody_awaits_is_named(greet: Any) -> None:
    with pytest.warns(RuntimeWarning, match=r"greet.enqueue' was never awaited"):
        greet.enqueue(None, "Ada")
    with pytest.warns(RuntimeWarning, match=r"greet.enqueue_many' was never awaited"):
        greet.enqueue_many(None, [{"name": "Ada"}])
