"""transactional=True: the task's writes and the job's end commit together, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_trust import bury, rescue, status
from tests.integration.test_worker import row, run
from workrow.database.urls import libpq_url


@pytest.fixture(autouse=True)
def effects(conn: psycopg.Connection[Any]) -> None:
    """A table of the user's own."""
    conn.execute("CREATE TABLE effects (job_id bigint, what text)")


@pytest.fixture(params=["psycopg", "asyncpg"])
async def open_app(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[workrow.App]:
    url = libpq_url(database_url)
    engine = create_async_engine(url.replace("postgresql://", f"postgresql+{request.param}://"))
    sync_engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    app = workrow.App(
        database_url, sessions=async_sessionmaker(engine), sync_sessions=sessionmaker(sync_engine), lease=2
    )
    async with app.open_async():
        yield app
    await engine.dispose()
    sync_engine.dispose()


WRITE = text("INSERT INTO effects (job_id, what) VALUES (:job, :what)")


def written(conn: Any) -> list[str]:
    return [what for (what,) in conn.execute("SELECT what FROM effects ORDER BY what").fetchall()]


async def test_writes_result_and_further_jobs_commit_with_the_end(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="follow")
    async def follow(n: int) -> None: ...

    @open_app.task(name="effect", transactional=True)
    async def effect(session: AsyncSession, ctx: workrow.JobContext, what: str) -> dict[str, int]:
        await session.execute(WRITE, {"job": ctx.job.id, "what": what})
        later = await follow.options(delay=3600).enqueue(session, n=1)
        # nothing is seen from outside before the end
        assert written(conn) == []
        assert conn.execute("SELECT 1 FROM workrow.jobs WHERE id = %s", [later.id]).fetchone() is None
        return {"n": 7}

    job = await effect.options(lock="l").enqueue(None, what="a")
    second = await effect.options(lock="l", delay=3600).enqueue(None, what="b")
    await run(open_app, name="w1")
    found = row(conn, job)
    assert (found["status"], found["result"], found["attempts"], found["worker"]) == ("succeeded", {"n": 7}, 1, "w1")
    assert found["created_at"] <= found["started_at"] <= found["finished_at"]
    assert written(conn) == ["a"]
    assert conn.execute("SELECT count(*) FROM workrow.jobs WHERE task = 'follow'").fetchone() == (1,)
    assert status(conn, second) == "todo"


async def test_sync_sessions_and_psycopg_connections(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="session", transactional=True)
    def in_session(session: Session, what: str) -> str:
        session.execute(WRITE, {"job": 0, "what": what})
        return what

    @open_app.task(name="async_connection", transactional=True)
    async def in_async_connection(connection: psycopg.AsyncConnection[Any], what: str) -> str:
        await connection.execute("INSERT INTO effects (what) VALUES (%s)", [what])
        return what

    @open_app.task(name="connection", transactional=True)
    def in_connection(connection: psycopg.Connection[Any], what: str) -> str:
        connection.execute("INSERT INTO effects (what) VALUES (%s)", [what])
        return what

    jobs = [
        await task.enqueue(None, what=str(number))
        for number, task in enumerate((in_session, in_async_connection, in_connection))
    ]
    await run(open_app)
    assert [row(conn, job)["result"] for job in jobs] == ["0", "1", "2"]
    assert written(conn) == ["0", "1", "2"]


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_result_that_is_no_json_does_not_undo_the_work(
    open_app: workrow.App, conn: Any, in_thread: bool
) -> None:
    async def on_loop(session: AsyncSession) -> object:
        await session.execute(WRITE, {"job": 0, "what": "done"})
        return object()

    def threaded(session: Session) -> object:
        session.execute(WRITE, {"job": 0, "what": "done"})
        return object()

    task: Any = open_app.task(name="opaque", transactional=True)(threaded if in_thread else on_loop)
    job = await task.enqueue(None)
    await run(open_app)
    assert (status(conn, job), written(conn)) == ("succeeded", ["done"])
    with pytest.raises(workrow.NoResult, match="its result is not kept"):
        await job.result(timeout=5)


async def test_a_failure_leaves_nothing_and_is_retried(open_app: workrow.App, conn: Any) -> None:
    tries: list[int] = []

    @open_app.task(name="flaky", transactional=True, retry=workrow.Retry(max_attempts=2, wait=0))
    async def flaky(session: AsyncSession) -> None:
        tries.append(1)
        await session.execute(WRITE, {"job": 0, "what": str(len(tries))})
        if len(tries) == 1:
            raise RuntimeError("after the write")

    job = await flaky.enqueue(None)
    await run(open_app)
    assert (status(conn, job), row(conn, job)["attempts"], written(conn)) == ("succeeded", 2, ["2"])


async def test_a_stale_workers_whole_transaction_rolls_back(open_app: workrow.App, conn: Any) -> None:
    go = asyncio.Event()

    @open_app.task(name="stale", transactional=True)
    async def stale(session: AsyncSession, ctx: workrow.JobContext) -> None:
        await session.execute(WRITE, {"job": ctx.job.id, "what": "x"})
        await go.wait()

    job = await stale.enqueue(None)
    async with Running(open_app, update_heartbeat_interval=3600):
        await until(lambda: status(conn, job) == "doing")
        bury(conn)
        assert rescue(conn) == [(job.id, "queued")]
        conn.execute("UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour'")
        go.set()
        await asyncio.sleep(0.3)
        assert written(conn) == []
    assert (status(conn, job), written(conn)) == ("todo", [])


async def test_a_lost_connection_burns_no_attempt(open_app: workrow.App, conn: Any) -> None:
    tries: list[int] = []

    @open_app.task(name="cut", transactional=True)
    async def cut(session: AsyncSession) -> None:
        tries.append(1)
        await session.execute(WRITE, {"job": 0, "what": str(len(tries))})
        if len(tries) == 1:
            pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            conn.execute("SELECT pg_terminate_backend(%s)", [pid])

    job = await cut.enqueue(None)
    async with Running(open_app):
        await until(lambda: status(conn, job) == "succeeded")
    assert (row(conn, job)["attempts"], row(conn, job)["crashes"], written(conn)) == (1, 1, ["2"])


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_conflict_repeats_the_attempt(open_app: workrow.App, conn: Any, state: str) -> None:
    tries: list[int] = []

    @open_app.task(name="conflict", transactional=True)
    async def conflict(session: AsyncSession) -> None:
        tries.append(1)
        if len(tries) < 3:
            await session.execute(text(f"DO $$ BEGIN RAISE 'conflict' USING ERRCODE = '{state}'; END $$"))
        await session.execute(WRITE, {"job": 0, "what": "once"})

    job = await conflict.enqueue(None)
    await run(open_app)
    assert (status(conn, job), row(conn, job)["attempts"], written(conn)) == ("succeeded", 1, ["once"])


async def test_the_task_may_not_commit_but_may_use_savepoints(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="commits", transactional=True)
    async def commits(session: AsyncSession) -> None:
        await session.execute(WRITE, {"job": 0, "what": "never"})
        await session.commit()

    @open_app.task(name="savepoint", transactional=True)
    async def savepoint(session: AsyncSession) -> None:
        async with session.begin_nested():
            await session.execute(WRITE, {"job": 0, "what": "kept"})

    job, other = await commits.enqueue(None), await savepoint.enqueue(None)
    await run(open_app)
    assert (status(conn, job), status(conn, other), written(conn)) == ("failed", "succeeded", ["kept"])
    assert "session.commit() was refused" in row(conn, job)["error"]


async def test_finished_jobs_can_be_deleted(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="gone", transactional=True)
    async def gone(session: AsyncSession) -> None: ...

    await gone.enqueue(None)
    await run(open_app, delete_jobs="always")
    assert conn.execute("SELECT count(*) FROM workrow.jobs").fetchone() == (0,)


async def test_what_is_missing_is_said_before_a_job_comes(database_url: str) -> None:
    app = workrow.App(database_url)

    @app.task(name="lost", transactional=True)
    async def lost(session: AsyncSession) -> None: ...

    async with app.open_async():
        with pytest.raises(
            workrow.ConfigurationError, match=r"task lost .* takes a AsyncSession: make the app with .*sessions="
        ):
            await run(app)


def test_declarations_that_cannot_work() -> None:
    blueprint = workrow.Blueprint("b")
    with pytest.raises(
        workrow.OptionError, match=r"transactional=True: the first parameter must be annotated AsyncSession"
    ):

        @blueprint.task(transactional=True)
        async def plain(user_id: int) -> None: ...

    with pytest.raises(workrow.OptionError, match=r"annotated Session .* or Connection .*AsyncSession"):

        @blueprint.task(transactional=True)
        def mixed(session: AsyncSession) -> None: ...

    with pytest.raises(workrow.OptionError, match=r"do not go together"):

        @blueprint.task(transactional=True, run_in="process")
        def both(session: Session) -> None: ...


async def test_the_idempotency_key_is_the_jobs(open_app: workrow.App) -> None:
    keys: list[str] = []

    @open_app.task(name="keyed", retry=workrow.Retry(max_attempts=3, wait=0))
    async def keyed(ctx: workrow.JobContext, n: int) -> None:
        keys.extend((ctx.idempotency_key(), ctx.idempotency_key("charge")))
        if len(keys) < 6:
            raise RuntimeError("again")

    await keyed.enqueue(None, n=1)
    await run(open_app)
    assert len(keys) == 6
    assert len(set(keys)) == 2


@pytest.mark.parametrize("kind", ["AsyncSession", "psycopg", "Session"])
async def test_a_result_that_the_database_refuses_is_not_kept_and_the_task_succeeds(
    open_app: workrow.App, conn: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    conn.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'no equivalent in encoding LATIN1' USING ERRCODE = '22P05'; END $$"
    )
    conn.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON workrow.history FOR EACH ROW WHEN (NEW.result IS NOT NULL) "
        "EXECUTE FUNCTION refuse()"
    )
    runs: list[int] = []

    async def with_session(session: AsyncSession, ctx: workrow.JobContext) -> str:
        runs.append(ctx.attempt)
        await session.execute(WRITE, {"job": ctx.job.id, "what": "a"})
        return "€"

    async def with_connection(connection: psycopg.AsyncConnection[Any], ctx: workrow.JobContext) -> str:
        runs.append(ctx.attempt)
        await connection.execute("INSERT INTO effects VALUES (%s, 'a')", [ctx.job.id])
        return "€"

    def in_thread(session: Session, ctx: workrow.JobContext) -> str:
        runs.append(ctx.attempt)
        session.execute(WRITE, {"job": ctx.job.id, "what": "a"})
        return "€"

    func: Any = {"AsyncSession": with_session, "psycopg": with_connection, "Session": in_thread}[kind]
    job = await open_app.task(name="effect", transactional=True)(func).enqueue(None)
    await run(open_app)
    assert await job.status() == "succeeded"
    with pytest.raises(workrow.NoResult, match="no equivalent in encoding"):
        await job.result(timeout=20)
    assert (runs, written(conn)) == ([1, 1], ["a"])
    assert "its result is not kept, and it runs again without one" in caplog.text


async def test_a_task_whose_own_write_is_refused_is_not_run_again(open_app: workrow.App, conn: Any) -> None:
    runs: list[int] = []

    @open_app.task(name="effect", transactional=True)
    async def effect(session: AsyncSession, ctx: workrow.JobContext) -> str:
        runs.append(1)
        await session.execute(text("SELECT 1 / 0"))
        return "never"

    job = await effect.enqueue(None)
    await run(open_app)
    assert (await job.status(), runs) == ("failed", [1])
