"""ctx.progress(): seen from outside while the job runs, and kept with it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from procrastinate.jobs import Job
from psycopg import IsolationLevel

import workrow
from tests.integration import process_tasks
from tests.integration.test_results import until, working
from tests.integration.test_worker import row, run
from workrow.database.connector import Connector
from workrow.job import Progress
from workrow.worker.outcome import Claimed
from workrow.worker.running import progress

children = workrow.App("postgresql://in-each-test-another-one")
"""Child processes find their app as an attribute of a module."""
tell_often = children.task(name="often", run_in="process")(process_tasks.tell_often)
tell_and_wait = children.task(name="wait", run_in="process")(process_tasks.tell_and_wait)


@pytest.fixture
async def open_children(database_url: str) -> AsyncIterator[workrow.App]:
    with children.replace_connector(Connector(database_url)):
        async with children.open_async():
            yield children


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many jobs each statement wrote."""
    counts: list[int] = []
    original = progress.ProgressWriter.__init__

    def init(self: Any, execute: Any) -> None:
        async def counted(name: str, **params: Any) -> Any:
            counts.append(len(params["progresses"]))
            return await execute(name, **params)

        original(self, counted)

    monkeypatch.setattr(progress.ProgressWriter, "__init__", init)
    return counts


async def seen(job: workrow.Job[Any], done: float) -> Progress:
    async with asyncio.timeout(10):
        while True:
            found = await job.progress()
            if found is not None and found.done == done:
                return found
            await asyncio.sleep(0.01)


async def test_it_is_seen_while_the_job_runs_and_kept_with_it(open_app: workrow.App, conn: Any) -> None:
    go_on = asyncio.Event()

    @open_app.task(name="load")
    async def load(ctx: workrow.JobContext) -> None:
        ctx.progress(1, 4, "reading")
        await go_on.wait()
        ctx.progress(4, 4)

    async with working(open_app):
        job = await load.enqueue(None)
        found = await seen(job, 1)
        assert (found.done, found.total, found.message, found.fraction) == (1, 4, "reading", 0.25)
        assert timedelta(0) <= datetime.now(UTC) - found.at < timedelta(seconds=10)
        assert await job.status() == "doing"
        go_on.set()
        await job.result(timeout=10)
        last = await job.progress()
        assert last is not None
        assert (last.done, last.total, last.message) == (4, 4, None)
        assert last.at >= found.at
    assert row(conn, job)["progress"].keys() == {"done", "total", "message", "at"}


async def test_a_job_that_says_nothing_has_none(open_app: workrow.App) -> None:
    @open_app.task(name="mute")
    async def mute() -> None: ...

    job = await mute.enqueue(None)
    await run(open_app)
    assert await job.progress() is None


async def test_from_a_thread(open_app: workrow.App) -> None:
    go_on = threading.Event()

    @open_app.task(name="load")
    def load(ctx: workrow.JobContext) -> None:
        ctx.progress(0.5)
        go_on.wait(10)
        ctx.progress(1.5, message="a\x00b")

    async with working(open_app):
        job = await load.enqueue(None)
        assert (await seen(job, 0.5)).total is None
        go_on.set()
        await job.result(timeout=10)
        last = await job.progress()
        assert last is not None
        assert (last.done, last.message, last.fraction) == (1.5, "a\\x00b", None)


async def test_from_a_process(open_children: workrow.App, tmp_path: Path) -> None:
    file = tmp_path / "go_on"
    async with working(open_children):
        job = await tell_and_wait.enqueue(None, str(file))
        assert (await seen(job, 2)).message == "two"
        file.touch()
        await job.result(timeout=20)
        last = await job.progress()
        assert last is not None
        assert (last.done, last.total, last.message) == (3, 3, None)


async def test_a_hundred_thousand_words_from_a_process(open_children: workrow.App, statements: list[int]) -> None:
    async with working(open_children):
        job = await tell_often.enqueue(None, 100_000)
        assert await job.result(timeout=60) == 100_000
    last = await job.progress()
    assert last is not None
    assert (last.done, last.message) == (100_000, "item 100000")
    assert sum(statements) < 60


async def test_a_hundred_thousand_words_are_a_few_statements(
    open_app: workrow.App, statements: list[int], conn: Any
) -> None:
    @open_app.task(name="chatty")
    async def chatty(ctx: workrow.JobContext) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for done in range(100_001):
            ctx.progress(done, 100_000, "…")
            if done % 1000 == 0:
                await asyncio.sleep(0)
        return loop.time() - began

    jobs = await chatty.enqueue_many(None, [{}, {}, {}])
    await run(open_app)
    took = sum(row(conn, job)["result"] for job in jobs)  # one slot: they run one after the other
    assert len(statements) <= 2 + took / progress.SPACING_SECONDS
    assert {(await job.progress()).done for job in jobs} == {100_000}  # type: ignore[union-attr]


async def test_the_words_of_all_jobs_are_one_statement(
    open_app: workrow.App, statements: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()
    said = 0

    @open_app.task(name="choir")
    async def choir(ctx: workrow.JobContext) -> None:
        nonlocal said
        ctx.progress(1)
        said += 1
        await go_on.wait()

    async with working(open_app, concurrency=20):
        jobs = await choir.enqueue_many(None, [{}] * 20)
        await until(lambda: said == 20)
        for job in jobs:
            await seen(job, 1)
        assert sum(statements) == 20
        assert len(statements) <= 3
        go_on.set()
        for job in jobs:
            await job.result(timeout=10)


async def test_the_last_word_of_a_failed_attempt_and_of_a_failure(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="fail", retry=workrow.Retry(max_attempts=2, wait=600))
    async def fail(ctx: workrow.JobContext) -> None:
        ctx.progress(7, 9)
        ctx.progress(8, 9)
        raise ValueError("no")

    @open_app.task(name="give_up")
    async def give_up(ctx: workrow.JobContext) -> None:
        ctx.progress(5)
        raise ValueError("no")

    jobs = [await fail.enqueue(None), await give_up.enqueue(None)]
    await run(open_app)
    assert [(await job.status(), (await job.progress()).done) for job in jobs] == [("todo", 8), ("failed", 5)]  # type: ignore[union-attr]
    assert await jobs[1].retry() == "queued"
    assert await jobs[1].progress() is None, "it begins anew"


@pytest.mark.parametrize("level", [IsolationLevel.READ_COMMITTED, IsolationLevel.SERIALIZABLE])
async def test_in_a_transaction(database_url: str, level: IsolationLevel) -> None:
    app = workrow.App(database_url)
    attempts = 0

    @app.task(name="transactional", transactional=True)
    async def transactional(on: psycopg.AsyncConnection, ctx: workrow.JobContext) -> None:
        nonlocal attempts
        attempts += 1
        await on.execute(f"SET TRANSACTION ISOLATION LEVEL {level.name.replace('_', ' ')}")
        await on.execute("SELECT 1")
        ctx.progress(1, 2)
        if attempts == 1:
            await seen(job, 1)
        ctx.progress(2, 2)

    async with app.open_async(), working(app):
        job = await transactional.enqueue(None)
        await job.result(timeout=10)
        assert (await job.progress()).done == 2  # type: ignore[union-attr]
        assert (await app.job(job.id).status()) == "succeeded"
    assert attempts == (1 if level is IsolationLevel.READ_COMMITTED else 2)


async def test_a_job_that_is_no_longer_ours_says_nothing(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="stolen")
    async def stolen(ctx: workrow.JobContext) -> None:
        conn.execute("UPDATE procrastinate_jobs SET claims = claims + 1")
        ctx.progress(1)
        await asyncio.sleep(0.5)

    job = await stolen.enqueue(None)
    await run(open_app)
    assert row(conn, job)["progress"] is None


async def test_a_row_that_somebody_holds_holds_nobody_up(open_app: workrow.App, conn: Any) -> None:
    go_on = asyncio.Event()

    @open_app.task(name="held")
    async def held(ctx: workrow.JobContext, hold: bool) -> None:
        if hold:
            conn.execute("BEGIN")
            conn.execute("SELECT FROM procrastinate_jobs WHERE id = %s FOR UPDATE", [ctx.job.id])
        ctx.progress(1)
        await go_on.wait()

    async with working(open_app, concurrency=2):
        first = await held.enqueue(None, True)
        second = await held.enqueue(None, False)
        await seen(second, 1)
        assert await first.progress() is None
        conn.execute("COMMIT")
        go_on.set()
        await first.result(timeout=10)
        assert await first.progress() is not None


@pytest.mark.parametrize(
    "arguments", [("1",), (None,), (float("nan"),), (True,), (1, "2"), (1, float("inf")), (1, 2, 3), (1, 2, b"x")]
)
def test_bad_progress_is_refused(arguments: Any) -> None:
    context = workrow.JobContext(
        app=children, job=Job(id=1, lock=None, queueing_lock=None, task_name="t", queue="q"),
        abort_reason=lambda: None, start_timestamp=0.0,
    )  # fmt: skip
    with pytest.raises(workrow.OptionError, match=r"ctx\.progress\("):
        context.progress(*arguments)
    context.progress(1, 2, "nobody listens")


def test_words_from_many_threads_lose_no_last_one() -> None:
    written: dict[int, str] = {}

    async def execute(name: str, *, ids: str, progresses: list[str], **_: Any) -> list[tuple[int]]:
        found = [int(each) for each in ids.strip("{}").split(",")]
        written.update(zip(found, progresses, strict=True))
        return [(each,) for each in found]

    async def write() -> None:
        told = progress.ProgressWriter(execute)
        claims = [Claimed((n, "q", "t", 0, None, None, {}, None, 0, 1, 0, None, None, None), 1) for n in range(8)]
        task = asyncio.create_task(told.run())
        await asyncio.sleep(0)

        def say(claimed: Claimed) -> None:
            for done in range(20_001):
                told.say(claimed, (done, None, None))

        await asyncio.gather(*(asyncio.to_thread(say, claimed) for claimed in claims))
        await until(lambda: len(written) == 8 and all('"done":20000,' in each for each in written.values()))
        task.cancel()

    asyncio.run(write())
