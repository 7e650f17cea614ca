"""Inline mode, and the harness without a loop."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

import workrow
from workrow import testing


@pytest.fixture
def seen() -> list[Any]:
    return []


@pytest.fixture
def tasks(workrow_app: workrow.App, seen: list[Any]) -> dict[str, workrow.Task[..., Any]]:
    @workrow_app.task(name="note")
    async def note(what: str, times: int = 1) -> str:
        seen.append(what)
        return what * times

    @workrow_app.task(name="in_thread")
    def in_thread(ctx: workrow.JobContext, what: str) -> int:
        seen.append((ctx.job.task_name, what))
        return len(what)

    @workrow_app.task(name="fail", retry=workrow.Retry(max_attempts=9))
    async def fail() -> None:
        raise ZeroDivisionError("here")

    @workrow_app.task(name="write", transactional=True)
    async def write(conn: psycopg.AsyncConnection[Any], what: str) -> str:
        await conn.execute("INSERT INTO notes VALUES (%s)", [what])
        return what

    return {"note": note, "in_thread": in_thread, "fail": fail, "write": write}


@pytest.fixture
def notes(conn: psycopg.Connection[Any]) -> None:
    conn.execute("CREATE TABLE notes (what text)")


async def test_enqueue_runs_and_returns_when_it_has_ended(tasks: Any, seen: list[Any], conn: Any) -> None:
    with testing.inline() as ran:
        job = await tasks["note"].options(delay=3600).enqueue(None, "x", times=3)
        await tasks["note"].enqueue_many(None, [{"what": "y"}, {"what": "z"}])
        tasks["note"].delay("sync")
        tasks["in_thread"].enqueue(conn, "thread")
    assert seen == ["x", "y", "z", "sync", ("in_thread", "thread")]
    assert [each.result for each in ran] == ["xxx", "y", "z", "sync", 6]
    assert (await job.result(), await job.status()) == ("xxx", "succeeded")
    assert conn.execute("SELECT count(*) FROM workrow.all_jobs").fetchone() == (0,)


async def test_afterwards_jobs_are_rows_again(tasks: Any, workrow_jobs: testing.Harness) -> None:
    with testing.inline():
        pass
    await tasks["note"].enqueue(None, "x")
    await workrow_jobs.assert_enqueued("note", count=1)


async def test_the_call_raises_what_the_task_raises(tasks: Any) -> None:
    with testing.inline() as ran, pytest.raises(ZeroDivisionError, match="here"):
        await tasks["fail"].enqueue(None)
    assert ran == []


async def test_bad_arguments_are_refused(tasks: Any) -> None:
    with testing.inline(), pytest.raises(workrow.ArgumentError):
        await tasks["note"].enqueue(None, wat=1)
    with testing.inline(), pytest.raises(workrow.ArgumentError):
        await tasks["note"].enqueue(None, what=object())


@pytest.mark.usefixtures("notes")
async def test_a_transactional_task_works_in_the_callers_transaction(
    tasks: Any, workrow_database: str, conn: Any
) -> None:
    async with await psycopg.AsyncConnection.connect(workrow_database) as own:
        with testing.inline():
            await tasks["write"].enqueue(own, "a")
        await own.rollback()
        assert conn.execute("SELECT * FROM notes").fetchall() == []
        with testing.inline():
            await tasks["write"].enqueue(own, "b")
        await own.commit()
    assert conn.execute("SELECT * FROM notes").fetchall() == [("b",)]


@pytest.mark.usefixtures("notes", "workrow_jobs")
async def test_or_in_one_of_its_own(tasks: Any, workrow_database: str, conn: Any) -> None:
    engine = create_async_engine(workrow_database.replace("postgresql://", "postgresql+psycopg://"))
    async with AsyncSession(engine) as session:
        with testing.inline():
            await tasks["write"].enqueue(session, "a")
        await session.rollback()
    await engine.dispose()
    assert conn.execute("SELECT * FROM notes").fetchall() == [("a",)]


@pytest.mark.usefixtures("notes")
async def test_sessions_of_the_app(workrow_database: str, conn: Any) -> None:
    engine = create_async_engine(workrow_database.replace("postgresql://", "postgresql+psycopg://"))
    app = workrow.App(workrow_database, sessions=async_sessionmaker(engine))

    @app.task(name="save", transactional=True)
    async def save(session: AsyncSession, what: str) -> None:
        await session.execute(text("INSERT INTO notes VALUES (:what)"), {"what": what})

    with testing.inline():
        await save.enqueue(None, "a")
    assert conn.execute("SELECT * FROM notes").fetchall() == [("a",)]
    await engine.dispose()


async def test_hooks_around_the_enqueue_run(workrow_app: workrow.App, tasks: Any, seen: list[Any]) -> None:
    @workrow_app.around_enqueue
    def stamp(enqueue: Any) -> Any:
        enqueue.arguments = [{**each, "what": "hooked"} for each in enqueue.arguments]
        yield

    with testing.inline():
        await tasks["note"].enqueue(None, "x")
    assert seen == ["hooked"]


def test_without_a_loop(workrow_jobs_sync: testing.BlockingHarness, tasks: Any, seen: list[Any], conn: Any) -> None:
    tasks["note"].enqueue(conn, "x")
    tasks["fail"].delay()
    workrow_jobs_sync.assert_enqueued(tasks["note"], args={"what": "x"}, count=1)
    with pytest.raises(AssertionError, match="expected no note"):
        workrow_jobs_sync.refute_enqueued("note")
    with pytest.raises(testing.AttemptFailed, match="ZeroDivisionError"):
        workrow_jobs_sync.drain()
    assert seen == ["x"]
    assert workrow_jobs_sync.run_next() is None
    with workrow_jobs_sync.clock.at("2027-01-01") as clock:
        clock.jump(days=1)
        assert clock.now().day == 2
        clock.advance(hours=30)
        assert clock.now().day == 3


async def test_steps_run_at_once(workrow_app: workrow.App) -> None:
    @workrow_app.task(name="inline.child")
    async def child(n: int) -> timedelta:
        return timedelta(seconds=n)

    @workrow_app.task(name="inline.steps")
    async def steps(ctx: workrow.JobContext, timeout: float | None) -> list[Any]:
        one = await ctx.step("one", lambda: 1)
        await ctx.sleep(3600)
        try:
            await ctx.wait_for("go", timeout=timeout)
        except workrow.SignalTimeout:
            return [one, (await ctx.call(child, 2)).seconds]
        return []

    @workrow_app.task(name="inline.sync")
    def sync(ctx: workrow.SyncJobContext) -> int:
        ctx.sleep(3600)
        return ctx.step("two", lambda: 2) + ctx.call(child, 2).seconds

    with testing.inline():
        assert await (await steps.enqueue(None, timeout=60)).result() == [1, 2]
        assert await (await steps.enqueue(None, timeout=0)).result() == [1, 2]
        assert await (await sync.enqueue(None)).result() == 4
        with pytest.raises(testing.TestingError, match="nobody can send inline"):
            await steps.enqueue(None, timeout=None)


@pytest.fixture
def ends(workrow_app: workrow.App, seen: list[Any]) -> dict[str, Any]:
    """The callbacks of a batch."""

    @workrow_app.task(name="ended")
    async def ended(end: dict[str, Any]) -> None:
        seen.append(("ended", end["state"]))

    @workrow_app.task(name="succeeded")
    async def succeeded(end: dict[str, Any]) -> None:
        seen.append(("succeeded", end["state"]))

    @workrow_app.task(name="failed")
    async def failed(failure: workrow.Failure) -> None:
        seen.append(("failed", failure.task, failure.error_message))

    return {"on_complete": ended.s(), "on_success": succeeded.s(), "on_failure": failed.s()}


async def test_callbacks_of_a_batch_run_when_its_block_ends(tasks: Any, ends: Any, seen: list[Any], conn: Any) -> None:
    with testing.inline():
        async with workrow.batch(None, **ends) as batch:
            await tasks["note"].enqueue(None, "x")
            assert (await batch.status()).state == "running"
            await tasks["note"].enqueue(None, "y")
        with workrow.batch(conn, **ends):
            tasks["note"].enqueue(conn, "z")
    assert seen == ["x", "y", ("succeeded", "succeeded"), ("ended", "succeeded"), "z", *seen[2:4]]
    status = await batch.status()
    assert (status.state, status.size, status.done, status.failed) == ("succeeded", 2, 2, 0)
    assert await batch.result() == {"workflow_id": batch.id, "state": "succeeded"}
    assert conn.execute("SELECT count(*) FROM workrow.workflows").fetchone() == (0,)


async def test_of_a_batch_with_a_failure(tasks: Any, ends: Any, seen: list[Any]) -> None:
    with testing.inline():
        async with workrow.batch(None, **ends) as batch:
            with pytest.raises(ZeroDivisionError):
                await tasks["fail"].enqueue(None)
            await tasks["note"].enqueue(None, "x")
        with pytest.raises(ZeroDivisionError):
            async with workrow.batch(None, **ends):
                await tasks["fail"].enqueue(None)
    assert seen == ["x", ("failed", "fail", "here"), ("ended", "failed")]
    status = await batch.status()
    assert (status.state, status.size, status.done, status.failed) == ("failed", 2, 1, 1)
