"""Signals: in somebody's transaction, never lost, and refused for a job that has ended."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_worker import run
from workrow import testing
from workrow.database.urls import libpq_url
from workrow.enqueue import transaction
from workrow.worker.running.steps import on_loop


def declared(app: workrow.App) -> Any:
    @app.task(name="wait")
    async def wait(ctx: workrow.JobContext) -> Any:
        return await ctx.wait_for("go")

    return wait


def signals(conn: Any) -> int:
    return int(conn.execute("SELECT count(*) FROM workrow.job_signals").fetchone()[0])


async def test_a_signal_before_the_wait_and_before_the_job_commits(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_database: str
) -> None:
    wait = declared(workrow_app)
    with psycopg.connect(workrow_database) as connection:
        job = wait.enqueue(connection)
        workrow.signal(connection, job, "go", [1])
    (ran,) = await workrow_jobs.drain()
    assert (ran.status, ran.result) == ("succeeded", [1])


async def test_sessions_of_each_kind_and_their_rollback(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_database: str, conn: Any
) -> None:
    wait = declared(workrow_app)
    url = libpq_url(workrow_database)
    job = await wait.enqueue(None)
    await workrow_jobs.drain()
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    async_engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with AsyncSession(async_engine) as async_session:
        await workrow.signal(async_session, job.id, "go", "rolled back")
        await async_session.rollback()
        assert (await workrow_jobs.drain(), signals(conn)) == ([], 0)
        await workrow.signal(async_session, job, "other")
        await async_session.commit()
    assert (await workrow_jobs.drain(), signals(conn)) == ([], 1)
    with Session(engine) as session:
        workrow.signal(session, job, "go", {"n": 1})
        assert await workrow_jobs.drain() == []
        session.commit()
    (ran,) = await workrow_jobs.drain()
    assert ran.result == {"n": 1}
    await async_engine.dispose()
    engine.dispose()


async def test_a_job_that_has_ended_or_never_was(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any
) -> None:
    wait = declared(workrow_app)
    job = await wait.enqueue(None)
    assert await job.cancel() == "cancelled"
    with pytest.raises(workrow.JobEnded, match=rf"^signal 'go': job {job.id} has ended; nothing was written$"):
        await workrow.signal(None, job, "go")
    with pytest.raises(workrow.JobNotFound, match=r"^signal 'go': there is no job 12345: "):
        await workrow.signal(None, workrow_app.job(12345), "go")
    with pytest.raises(workrow.OptionError, match=r"an id alone does not know its app: give app\.job\(5\)"):
        await workrow.signal(None, 5, "go")
    with pytest.raises(workrow.OptionError, match=r"signal\(job='5'\): must be a job, or the id of one"):
        await workrow.signal(None, "5", "go")  # type: ignore[call-overload]
    with pytest.raises(workrow.OptionError, match="signal: name='': must be text"):
        await workrow.signal(None, job, "")
    with pytest.raises(workrow.ArgumentError, match="signal 'go' to job .*: value=<object.* cannot be stored as JSON"):
        await workrow.signal(None, job, "go", object())
    live = await wait.enqueue(None)
    with psycopg.connect(workrow_app.database_url) as connection:
        connection.read_only = True
        with pytest.raises(workrow.TransactionError, match=r"cannot signal.*read-only"):
            workrow.signal(connection, live, "go")
    assert signals(conn) == 0


async def test_a_timeout_is_recorded_and_a_later_signal_is_left_for_the_next_wait(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock
) -> None:
    @workrow_app.task(name="patient", retry=workrow.Retry(max_attempts=2, wait=0))
    async def patient(ctx: workrow.JobContext) -> list[Any]:
        told: list[Any] = []
        for name in ("first", "second"):
            try:
                told.append(await ctx.wait_for("go", timeout=3600, name=name))
            except workrow.SignalTimeout as error:
                told.append(str(error).partition(": ")[2])
        try:
            await ctx.wait_for("go", timeout=0, name="third")
        except TimeoutError:
            if ctx.attempt == 1:
                raise
        return told

    with workrow_clock.at("2027-01-01") as clock:
        job = await patient.enqueue(None)
        await clock.run_for(hours=1)
        await workrow.signal(None, job, "go", "late")
        await clock.run_for(minutes=1, raise_on_failure=False)
    assert await job.result(timeout=0) == ["no signal 'go' came before the timeout of step 'first'", "late"]


async def test_a_signal_that_commits_while_the_job_gives_its_slot_away_is_not_lost(
    app: workrow.App, database_url: str, conn: Any
) -> None:
    """Its transaction is open while the job looks, and sees nothing; and while it goes to sleep."""
    looked = asyncio.Event()

    @app.task(name="race")
    async def race(ctx: workrow.JobContext, other: bool = False) -> Any:
        if not other:
            looked.set()
            await asyncio.to_thread(opened.wait)
        return await ctx.wait_for("go")

    opened = threading.Event()
    async with app.open_async(), await psycopg.AsyncConnection.connect(database_url) as user:
        job = await race.enqueue(None)
        async with Running(app, concurrency=1):
            await looked.wait()
            await workrow.signal(user, job, "go", "in time")
            opened.set()
            # its slot is free for another, though its own row is held
            other = await race.enqueue(None, other=True)
            await until(lambda: conn.execute("SELECT FROM workrow.job_steps WHERE job_id = %s", [other.id]).fetchall())
            assert conn.execute("SELECT FROM workrow.job_steps WHERE job_id = %s", [job.id]).fetchall() == []
            await user.commit()
            assert await job.result(timeout=20) == "in time"


async def test_many_signals_from_many_transactions_are_all_taken(app: workrow.App, conn: Any) -> None:
    @app.task(name="collect")
    async def collect(ctx: workrow.JobContext, count: int) -> list[int]:
        return [await ctx.wait_for("one", name=f"one {n}") for n in range(count)]

    async with app.open_async(), Running(app, concurrency=4):
        jobs = [await collect.enqueue(None, 8) for _ in range(3)]
        await asyncio.gather(*(workrow.signal(None, job, "one", n) for n in range(8) for job in jobs))
        taken = [sorted(await job.result(timeout=30)) for job in jobs]
    assert taken == [list(range(8))] * 3


async def test_an_answer_that_was_lost_with_its_connection_takes_one_signal(
    open_app: workrow.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    @open_app.task(name="two")
    async def two(ctx: workrow.JobContext) -> list[Any]:
        return [await ctx.wait_for("go", timeout=0, name=name) for name in ("first", "second")]

    async def run_async(on: Any, statement: str, params: Any) -> Any:
        rows = await transaction.run_async(on, statement, params)
        if statement == "end_wait" and not lost:
            lost.append(rows)
            raise psycopg.OperationalError("the connection is lost")
        return rows

    lost: list[Any] = []
    monkeypatch.setattr(on_loop, "transaction", SimpleNamespace(run_async=run_async))
    monkeypatch.setattr(on_loop, "OUTAGE_PAUSE", 0)
    job = await two.enqueue(None)
    for value in (1, 2):
        await workrow.signal(None, job, "go", value)
    await run(open_app)
    assert lost
    assert await job.result(timeout=5) == [1, 2]
