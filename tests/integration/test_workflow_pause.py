"""A workflow that is paused starts nothing, whichever way a job of it comes back."""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import workrow
import workrow.schema
from tests.integration.test_heart import Running, until
from tests.integration.test_transactional import open_app
from tests.integration.test_worker import run

__all__ = ["open_app"]

HELD = """SELECT status FROM procrastinate_jobs
          WHERE held_at IS NOT NULL AND coalesce(due_at, scheduled_at) > now() + interval '100 years'"""
LIMITS: dict[str, Any] = {"plain": {}, "limited": {"limits": [workrow.Limit(2, name="two")]}}


class Runs:
    """A task of which the first attempt waits, and then comes back as told."""

    def __init__(self, app: workrow.App, options: dict[str, Any]) -> None:
        self.started, self.go, self.count = asyncio.Event(), asyncio.Event(), 0
        again = workrow.Retry(max_attempts=3, wait=0)

        async def first() -> bool:
            self.count += 1
            self.started.set()
            if self.count == 1:
                await self.go.wait()
            return self.count == 1

        @app.task(name="retry", retry=again, **options)
        async def retry() -> int:
            if await first():
                raise ValueError("again")
            return 7

        @app.task(name="snooze", **options)
        async def snooze() -> int:
            if await first():
                raise workrow.Snooze("later", in_=0.001)
            return 7

        @app.task(name="stop", **options)
        async def stop() -> int:
            await first()
            return 7

        @app.task(name="sleep", **options)
        async def sleep(ctx: workrow.JobContext) -> int:
            await first()
            await ctx.sleep(0.05)
            return 7

        @app.task(name="signal", **options)
        async def signal(ctx: workrow.JobContext) -> Any:
            await first()
            return await ctx.wait_for("go", timeout=60)

        @app.task(name="call", **options)
        async def call(ctx: workrow.JobContext) -> Any:
            await first()
            return await ctx.call(seven)

        @app.task(name="seven")
        async def seven() -> int:
            return 7


def jobs(conn: Any) -> list[str]:
    return [status for (status,) in conn.execute(HELD)]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("way", ["retry", "snooze", "stop", "sleep", "signal", "call"])
async def test_a_job_that_runs_and_comes_back_waits(open_app: workrow.App, conn: Any, way: str, limits: str) -> None:
    runs = Runs(open_app, LIMITS[limits])
    workflow = await workrow.chain(open_app.tasks[way].s(), open_app.tasks["seven"].si()).enqueue(None)  # type: ignore[attr-defined]
    async with Running(open_app, shutdown_graceful_timeout=0.01 if way == "stop" else None):
        await runs.started.wait()
        assert await workflow.pause() == "paused"
        if way != "stop":
            runs.go.set()
            await until(lambda: jobs(conn) == ["todo"])
            if way == "signal":
                conn.execute("SELECT workrow.signal_v1(id, 'go', '7') FROM procrastinate_jobs")
            await asyncio.sleep(0.3)
            assert (runs.count, jobs(conn)) == (1, ["todo"])
    assert (runs.count, jobs(conn)) == (1, ["todo"])
    await run(open_app)
    assert runs.count == 1
    assert await workflow.resume() == "running"
    async with Running(open_app):
        assert await workflow.result(timeout=5) == 7
    assert jobs(conn) == []


SQL = {
    "a crash": "SELECT workrow.crash_job_v1(id, true, 3, 'killed') FROM procrastinate_jobs",
    "a crash of its process": "SELECT workrow.crash_job_v2(id, true, 3, 'killed', 0.001) FROM procrastinate_jobs",
    "procrastinate's retry": "SELECT procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL) FROM procrastinate_jobs",
}


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("way", SQL)
async def test_others_give_back_what_waits(open_app: workrow.App, conn: Any, way: str, limits: str) -> None:
    @open_app.task(name="seven", **LIMITS[limits])
    async def seven() -> int:
        return 7

    workflow = await workrow.chain(seven.s(), seven.si()).enqueue(None)
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing', scheduled_at = NULL")
    assert await workflow.pause() == "paused"
    conn.execute(SQL[way])
    assert len(conn.execute("SELECT * FROM procrastinate_jobs").fetchall()) == 1  # no time that Python cannot read
    assert jobs(conn) == ["todo"]
    await run(open_app)
    assert jobs(conn) == ["todo"]
    assert await workflow.resume() == "running"
    await run(open_app)
    assert await workflow.result(timeout=5) == 7


async def test_who_goes_on_at_once_is_not_held_later(open_app: workrow.App, conn: Any) -> None:
    runs = Runs(open_app, {})
    workflow = await workrow.chain(open_app.tasks["retry"].s(), open_app.tasks["seven"].si()).enqueue(None)  # type: ignore[attr-defined]
    async with Running(open_app):
        await runs.started.wait()
        assert (await workflow.pause(), await workflow.resume()) == ("paused", "running")
        runs.go.set()
        assert await workflow.result(timeout=5) == 7
    assert runs.count == 2


async def test_times_are_those_of_before(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="seven")
    async def seven() -> int:
        return 7

    @open_app.task(name="limited", limits=[workrow.Limit(2, name="two")])
    async def limited() -> int:
        return 7

    later = [each.options(delay=3600).s() for each in (seven, limited)]
    workflow = await workrow.group([*later, seven.s(), limited.s()]).enqueue(None)
    late = "CASE WHEN line IS NULL THEN scheduled_at ELSE due_at END > now() + interval '59 min'"
    query = f"SELECT coalesce({late}, false) FROM procrastinate_jobs ORDER BY id"
    assert conn.execute(query).fetchall() == [(True,), (True,), (False,), (False,)]
    for _ in range(2):
        assert await workflow.pause() == "paused"
    assert jobs(conn) == ["todo"] * 4
    assert await workflow.resume() == "running"
    assert conn.execute(query).fetchall() == [(True,), (True,), (False,), (False,)]
    await run(open_app)
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (2,)


async def test_a_pause_that_is_taken_back_holds_nothing(open_app: workrow.App, conn: Any, database_url: str) -> None:
    runs = Runs(open_app, {})
    workflow = await workrow.chain(open_app.tasks["retry"].s(), open_app.tasks["seven"].si()).enqueue(None)  # type: ignore[attr-defined]
    with psycopg.connect(database_url) as service:
        async with Running(open_app):
            await runs.started.wait()
            assert service.execute("SELECT workrow.pause_workflow_v1(%s)", [workflow.id]).fetchone() == ("paused",)
            runs.go.set()
            await asyncio.sleep(0.3)
            assert runs.count == 1
            service.rollback()
            assert await workflow.result(timeout=10) == 7


@pytest.mark.parametrize("end", ["cancel", "broken"])
async def test_nothing_of_an_end_stays_held(open_app: workrow.App, conn: Any, end: str) -> None:
    runs = Runs(open_app, {})
    workflow = await workrow.group(open_app.tasks[name].s() for name in ("retry", "seven")).enqueue(None)  # type: ignore[attr-defined]
    ends: dict[str, Callable[[], object]] = {
        "cancel": lambda: conn.execute("SELECT workrow.cancel_workflow_v1(%s)", [workflow.id]),
        "broken": lambda: conn.execute("SELECT workrow.break_workflow_v1(%s, NULL, 'x')", [workflow.id]),
    }
    async with Running(open_app, queues=["default"], concurrency=1):
        await runs.started.wait()
        assert await workflow.pause() == "paused"
        ends[end]()
        runs.go.set()
        await until(lambda: conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,))
    assert runs.count == (1 if end == "cancel" else 2)


@pytest.mark.parametrize("what", ["pause", "resume"])
async def test_what_an_open_transaction_adds_follows_soon(
    open_app: workrow.App, conn: Any, database_url: str, what: str
) -> None:
    @open_app.task(name="seven")
    async def seven() -> int:
        return 7

    started, go = asyncio.Event(), asyncio.Event()

    @open_app.task(name="adds", retry=workrow.Retry(max_attempts=3, wait=0))
    async def adds(ctx: workrow.JobContext) -> int:
        if not started.is_set():
            async with await psycopg.AsyncConnection.connect(database_url) as service:
                if what == "resume":
                    await batch.pause()
                await seven.enqueue(service)
                await seven.s().append(service, ctx)
                assert await (batch.pause() if what == "pause" else batch.resume())
            started.set()
            await go.wait()
            raise ValueError("again")
        return 7

    async with workrow.batch(None, on_complete=seven.si()) as batch:
        await adds.enqueue(None)
    async with Running(open_app, concurrency=1, queues=["default"]):
        await started.wait()
        held = "SELECT held_at IS NOT NULL FROM procrastinate_jobs ORDER BY id"
        # the running job is marked at once, though it holds a share of its row
        assert conn.execute(held).fetchone() == (what == "pause",)
        conn.execute("SELECT workrow.sweep_workflows_v1()")
        assert conn.execute(held).fetchall() == [(what == "pause",)] * 3
        go.set()
        if what == "pause":
            await until(lambda: jobs(conn) == ["todo"] * 3)
            assert await batch.resume() == "running"
        sevens = "SELECT count(*) FROM workrow.history WHERE task_name = 'seven'"
        await until(lambda: conn.execute(sevens).fetchone() == (3,))


async def test_who_holds_the_row_of_a_job_does_not_hold_up_a_resume(
    open_app: workrow.App, conn: Any, database_url: str
) -> None:
    @open_app.task(name="seven")
    async def seven() -> int:
        return 7

    workflow = await workrow.group([seven.s(), seven.s()]).enqueue(None)
    assert await workflow.pause() == "paused"
    with psycopg.connect(database_url) as service:
        service.execute("SELECT FROM procrastinate_jobs ORDER BY id LIMIT 1 FOR UPDATE")
        async with asyncio.timeout(5):
            assert await workflow.resume() == "running"
        assert jobs(conn) == ["todo"]
    conn.execute("SELECT workrow.sweep_workflows_v1()")
    await run(open_app)
    assert await workflow.result(timeout=5) == [7, 7]


async def test_pauses_at_any_moment_hold_and_lose_nothing(open_app: workrow.App, conn: Any) -> None:
    starts = 0

    @open_app.task(name="restless", retry=workrow.Retry(max_attempts=100, wait=0))
    async def restless(ctx: workrow.JobContext, number: int) -> int:
        nonlocal starts
        starts += 1
        await asyncio.sleep(random.uniform(0, 0.01))
        if random.random() < 0.6:
            raise workrow.Snooze("later", in_=0.001) if random.random() < 0.5 else ValueError("again")
        return number

    @open_app.task(name="total")
    async def total(numbers: list[int]) -> int:
        return sum(numbers)

    header = [workrow.chain(restless.s(each), restless.si(each)) for each in range(100)]
    workflow = await workrow.chord(header, total.s()).enqueue(None)
    doing = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'"
    async with Running(open_app, concurrency=10):
        for _ in range(15):
            await asyncio.sleep(random.uniform(0, 0.05))
            if await workflow.pause() is None:
                break
            await until(lambda: conn.execute(doing).fetchone() == (0,))
            before = starts
            await asyncio.sleep(0.1)
            assert starts == before
            assert await workflow.resume() == "running"
        assert await workflow.result(timeout=30) == sum(range(100))


HOURS = """SELECT round(extract(epoch FROM CASE WHEN due_at IS NULL THEN scheduled_at ELSE due_at END - now()) / 3600)
           FROM procrastinate_jobs ORDER BY id"""


async def test_a_downgrade_lets_what_is_held_start_when_it_was_to(empty_database_url: str) -> None:
    workrow.schema.upgrade(empty_database_url)
    app = workrow.App(empty_database_url)

    @app.task(name="plain")
    async def plain() -> None: ...

    @app.task(name="limited", limits=[workrow.Limit(2, name="two")])
    async def limited() -> None: ...

    async with app.open_async():
        tasks = [task.options(delay=delay).s() for task in (plain, limited) for delay in (None, timedelta(hours=5))]
        workflow = await workrow.group(*tasks).enqueue(None)
        assert await workflow.pause() == "paused"
    workrow.schema.downgrade(empty_database_url, to=7)
    with psycopg.connect(empty_database_url) as connection:
        assert [hours for (hours,) in connection.execute(HOURS)] == [None, 5, 0, 5]
