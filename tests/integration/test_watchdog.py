"""A task that blocks the event loop is told, with its name and the place."""

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

import workrow
from tests.integration.test_results import working
from tests.integration.test_worker import run
from workrow.worker.living import watchdog
from workrow.worker.living.watchdog import Watchdog


def block(seconds: float) -> None:
    time.sleep(seconds)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.WARNING, watchdog.__name__)
    return lambda: [
        f"{record.getMessage()}\n{record.exc_text}" for record in caplog.records if record.name == watchdog.__name__
    ]


@pytest.mark.parametrize("options", [{}, {"time_limit": 60}])
async def test_one_that_blocks_is_told_once_with_its_place(open_app: workrow.App, said: Any, options: Any) -> None:
    @open_app.task(name="blocks", **options)
    async def blocks() -> None:
        await asyncio.sleep(0)
        block(0.7)  # the place

    job = await blocks.enqueue(None)
    await run(open_app, slow_callback_duration=0.2)
    (told,) = said()
    assert told.startswith(f"blocks[{job.id}] has blocked the event loop for 0.")
    assert "in blocks\n      block(0.7)  # the place\n" in told
    assert "run_forever" not in told


async def test_what_a_task_has_started_is_told_as_its_own(open_app: workrow.App, said: Any) -> None:
    async def part() -> None:
        block(0.5)

    @open_app.task(name="blocks")
    async def blocks() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(part())
        done = asyncio.Event()

        def call() -> None:
            block(0.5)
            done.set()

        asyncio.get_running_loop().call_later(0.1, call)
        await done.wait()

    job = await blocks.enqueue(None)
    await run(open_app, slow_callback_duration=0.2)
    assert [told.partition(" has ")[0] for told in said()] == [f"blocks[{job.id}]"] * 2


async def test_many_that_block_a_little_are_told_as_many(open_app: workrow.App, said: Any) -> None:
    @open_app.task(name="short")
    async def short() -> None:
        block(0.08)

    await short.enqueue_many(None, [{}] * 10)
    await run(open_app, concurrency=10, slow_callback_duration=0.4)
    assert "jobs or more have kept the event loop busy" in said()[0]


async def test_threads_and_waiting_block_nothing_and_none_says_nothing(open_app: workrow.App, said: Any) -> None:
    @open_app.task(name="thread")
    def thread() -> None:
        block(0.4)

    @open_app.task(name="waits")
    async def waits() -> None:
        await asyncio.sleep(0.4)

    @open_app.task(name="blocks")
    async def blocks() -> None:
        block(0.4)

    await thread.enqueue(None)
    await waits.enqueue(None)
    await run(open_app, slow_callback_duration=0.2)
    await blocks.enqueue(None)
    await run(open_app, slow_callback_duration=None)
    await blocks.enqueue(None)
    await run(open_app)  # a second is not too long
    assert said() == []


async def test_a_suspended_process_has_blocked_nothing(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = iter([0.0, *(100.0 * n for n in range(1, 1000))])
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: next(steps))
    dog = Watchdog(1.0)
    dog._interval = 0.01
    monkeypatch.setattr(dog, "_beat", lambda loop: None)
    with dog.watching():
        await asyncio.sleep(0.1)
    assert said() == []


async def test_it_ends_with_the_worker(open_app: workrow.App) -> None:
    def dogs() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "workrow-watchdog" and each.is_alive()]

    async with working(open_app, slow_callback_duration=0.1):
        async with asyncio.timeout(10):
            while not dogs():
                await asyncio.sleep(0.01)
    for each in dogs():
        each.join(5)
    assert dogs() == []
