"""Time limits and cancellation of running jobs, on the event loop and in threads; processes have tests of their own."""

import asyncio
import threading
import time
from typing import Any

import pytest

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_trust import status
from tests.integration.test_worker import row, run
from workrow.worker.running import places


async def test_the_soft_limit_is_raised_inside(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="coroutine", soft_time_limit=0.05)
    async def coroutine() -> str:
        try:
            await asyncio.sleep(60)
        except workrow.SoftTimeLimitExceeded:
            return "cleaned up"
        return "never"

    @open_app.task(name="thread", soft_time_limit=0.05)
    def thread() -> str:
        try:
            while True:
                time.sleep(0.01)
        except workrow.SoftTimeLimitExceeded:
            return "cleaned up"

    @open_app.task(name="careless", soft_time_limit=0.05)
    async def careless() -> None:
        await asyncio.sleep(60)

    @open_app.task(name="group", soft_time_limit=0.05)
    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(60))

    jobs = [await task.enqueue(None) for task in (coroutine, thread, careless, group)]
    await run(open_app, concurrency=4)
    assert [status(conn, job) for job in jobs] == ["succeeded", "succeeded", "failed", "failed"]
    assert {row(conn, job)["result"] for job in jobs[:2]} == {"cleaned up"}
    assert {row(conn, job)["error_type"] for job in jobs[2:]} == {"workrow.errors.SoftTimeLimitExceeded"}


async def test_the_hard_limit_ends_the_task_and_counts_an_attempt(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="coroutine", time_limit=0.05, retry=workrow.Retry(max_attempts=2, wait=0))
    async def coroutine() -> None:
        await asyncio.sleep(60)

    @open_app.task(name="thread", time_limit=0.05)
    def thread() -> None:
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                continue

    jobs = [await task.enqueue(None) for task in (coroutine, thread)]
    began = time.monotonic()
    await run(open_app, concurrency=2)
    assert time.monotonic() - began < 5
    assert [(status(conn, job), row(conn, job)["attempts"]) for job in jobs] == [("failed", 2), ("failed", 1)]
    assert {row(conn, job)["error_type"] for job in jobs} == {"workrow.errors.TimeLimitExceeded"}


async def test_a_coroutine_that_refuses_is_abandoned_loudly(
    open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "GRACE_SECONDS", 0.1)
    go = asyncio.Event()

    @open_app.task(name="refuses", time_limit=0.05)
    async def refuses() -> str:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    @open_app.task(name="next")
    async def following() -> None: ...

    job, other = await refuses.enqueue(None), await following.enqueue(None)
    await run(open_app, concurrency=1)
    assert (status(conn, job), status(conn, other)) == ("failed", "succeeded")
    assert f"refuses[{job.id}]: does not end (time_limit)" in caplog.text
    go.set()
    await asyncio.sleep(0)


async def test_a_thread_gives_its_slot_back_when_it_ends(
    open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = threading.Event()

    @open_app.task(name="in_c", time_limit=0.05)
    def in_c() -> str:
        waiting.wait(2)  # one call into C: no exception arrives before it returns
        return "late"

    job = await in_c.enqueue(None)
    await run(open_app)
    assert (status(conn, job), row(conn, job)["result"]) == ("failed", None)
    assert f"in_c[{job.id}]: does not end (time_limit; its slot is free when its thread ends)" in caplog.text


class TestCancel:
    async def test_a_waiting_job_and_one_that_is_over(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="noop")
        async def noop() -> None: ...

        job = await noop.enqueue(None)
        assert await open_app.cancel_async(job.id) == "cancelled"
        assert (status(conn, job), await open_app.cancel_async(job.id)) == ("cancelled", None)
        other = await noop.enqueue(None)
        assert await asyncio.to_thread(open_app.cancel, other.id) == "cancelled"

    async def test_a_coroutine_is_cancelled(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="endless", retry=True)
        async def endless() -> None:
            await asyncio.sleep(3600)

        job = await endless.enqueue(None)
        async with Running(open_app):
            await until(lambda: status(conn, job) == "doing")
            assert await open_app.cancel_async(job.id) == "aborting"
            await until(lambda: status(conn, job) == "aborted")

    async def test_a_thread_is_asked_and_then_made_to_end(self, open_app: workrow.App, conn: Any) -> None:
        asked: list[bool] = []

        @open_app.task(name="deaf")
        def deaf(ctx: workrow.JobContext) -> None:
            while True:
                asked.append(ctx.should_abort())
                time.sleep(0.01)

        job = await deaf.enqueue(None)
        async with Running(open_app):
            await until(lambda: status(conn, job) == "doing")
            await open_app.cancel_async(job.id)
            await until(lambda: asked and asked[-1])
            assert status(conn, job) == "doing"
            await open_app.cancel_async(job.id, terminate=True)
            await until(lambda: status(conn, job) == "aborted")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_limit": 0}, r"time_limit=0: must be a positive number of seconds"),
        ({"soft_time_limit": "5"}, r"soft_time_limit='5': must be a positive number"),
        ({"soft_time_limit": 5, "time_limit": 5}, r"soft_time_limit=5 must be shorter than time_limit=5"),
        ({"run_in": "thread"}, r"run_in='thread': must be 'process'"),
        ({"max_memory": 256}, r"max_memory=256 needs run_in='process'"),
        ({"run_in": "process", "max_memory": 1}, r"max_memory=1: must be a whole number of MiB, at least 32"),
    ],
)
def test_an_option_that_cannot_work_says_so(options: Any, message: str) -> None:
    blueprint = workrow.Blueprint("b")
    with pytest.raises(workrow.OptionError, match=rf"task b\.task: {message}"):

        @blueprint.task(**options)
        def task() -> None: ...
