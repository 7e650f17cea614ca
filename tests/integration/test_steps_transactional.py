"""Steps whose records commit with their effects: in a transactional task, and one by one."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

import workrow
from tests.integration.test_worker import row, run
from workrow.database.urls import libpq_url

WRITE = text("INSERT INTO effects VALUES (:what)")


@pytest.fixture(autouse=True)
def effects(conn: psycopg.Connection[Any]) -> None:
    """A table of the user's own."""
    conn.execute("CREATE TABLE effects (what text)")


@pytest.fixture(params=["psycopg", "asyncpg"])
async def open_app(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[workrow.App]:
    url = libpq_url(database_url)
    engine = create_async_engine(url.replace("postgresql://", f"postgresql+{request.param}://"))
    sync_engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    app = workrow.App(database_url, sessions=async_sessionmaker(engine), sync_sessions=sessionmaker(sync_engine))
    async with app.open_async():
        yield app
    await engine.dispose()
    sync_engine.dispose()


def written(conn: Any) -> list[str]:
    return [what for (what,) in conn.execute("SELECT what FROM effects ORDER BY what").fetchall()]


def recorded(conn: Any) -> list[str]:
    return [name for (name,) in conn.execute("SELECT name FROM workrow.steps ORDER BY name").fetchall()]


async def debit(session: AsyncSession, what: str) -> str:
    await session.execute(WRITE, {"what": what})
    return what


def debit_sync(session: Session, what: str) -> str:
    session.execute(WRITE, {"what": what})
    return what


async def test_a_transactional_step_commits_its_effects_with_its_record(open_app: workrow.App, conn: Any) -> None:
    async def fails(session: AsyncSession, what: str) -> object:
        await debit(session, what)
        return object()

    @open_app.task(name="plain", retry=workrow.Retry(max_attempts=3, wait=0))
    async def plain(ctx: workrow.JobContext) -> str:
        told = await ctx.transactional_step("debit", debit, "a")
        if ctx.attempt == 1:
            await ctx.transactional_step("bad", fails, "b")
        if ctx.attempt == 2:
            raise OSError
        return told

    @open_app.task(name="sync", retry=workrow.Retry(max_attempts=2, wait=0))
    def sync(ctx: workrow.SyncJobContext) -> str:
        told = ctx.transactional_step("debit", debit_sync, what="s")
        if ctx.attempt == 1:
            raise OSError
        return told

    job = await plain.enqueue(None)
    await run(open_app)
    assert (row(conn, job)["result"], written(conn), recorded(conn)) == ("a", ["a"], ["debit"])
    assert "nothing of it stays" in row(conn, job)["errors"][0]["message"]
    job = await sync.enqueue(None)
    await run(open_app)
    assert (row(conn, job)["result"], written(conn)) == ("s", ["a", "s"])


async def test_a_step_that_commits_by_itself_is_refused(open_app: workrow.App, conn: Any) -> None:
    async def commits(session: AsyncSession) -> None:
        await debit(session, "x")
        await session.commit()

    @open_app.task(name="commits")
    async def task(ctx: workrow.JobContext) -> None:
        await ctx.transactional_step("it", commits)

    job = await task.enqueue(None)
    await run(open_app)
    assert "session.commit() was refused" in row(conn, job)["error"]
    assert (written(conn), recorded(conn)) == ([], [])


async def test_a_transactional_task_commits_leg_by_leg(open_app: workrow.App, conn: Any) -> None:
    """What a step of it has done commits with its record when the job gives its slot away; a leg that fails leaves
    nothing."""

    @open_app.task(name="legs", transactional=True, retry=workrow.Retry(max_attempts=2, wait=0))
    async def legs(session: AsyncSession, ctx: workrow.JobContext) -> Any:
        await ctx.step("first", debit, session, "first")
        told = await ctx.wait_for("go")
        await ctx.step("second", debit, session, "second")
        if ctx.attempt == 1:
            assert recorded(conn) == ["first", "go"]
            raise OSError
        return told

    job = await legs.enqueue(None)
    await run(open_app)
    assert (row(conn, job)["status"], written(conn), recorded(conn)) == ("todo", ["first"], ["first", "go"])
    await workrow.signal(None, job, "go", 1)
    await run(open_app)
    assert (row(conn, job)["result"], row(conn, job)["attempts"], written(conn)) == (1, 2, ["first", "second"])


async def test_the_same_of_a_sync_task_which_sleeps_and_calls(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="child")
    def child(n: int) -> int:
        return n + 1

    @open_app.task(name="legs", transactional=True)
    def legs(session: Session, ctx: workrow.SyncJobContext) -> int:
        ctx.step("first", debit_sync, session, "first")
        ctx.sleep(0)
        return ctx.call(child, 1)

    job = await legs.enqueue(None)
    await run(open_app)
    await run(open_app)
    assert (row(conn, job)["result"], written(conn)) == (2, ["first"])


async def test_a_transactional_step_in_a_transactional_task_is_refused(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="both", transactional=True)
    async def both(session: AsyncSession, ctx: workrow.JobContext) -> None:
        await ctx.transactional_step("it", debit, "x")

    job = await both.enqueue(None)
    await run(open_app)
    assert "the task is transactional, and so are its steps: say ctx.step('it', " in row(conn, job)["error"]
