"""Threads for sync tasks: what an interruption may hit, and when a slot is free."""

import asyncio
import contextvars
import threading
import time
from typing import Any

import pytest

from workrow.errors import SoftTimeLimitExceeded, TimeLimitExceeded
from workrow.worker.threads import Interrupted, Threads

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


def spin(seconds: float = 10.0) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "spun"


async def test_results_errors_and_context() -> None:
    threads = Threads(2)
    variable.set("seen")
    assert await threads.run(1, lambda: variable.get()) == "seen"
    with pytest.raises(ZeroDivisionError):
        await threads.run(1, lambda: 1 // 0)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.run(1, lambda: next(iter(())))
    assert threads.running == []


async def test_threads_are_daemons_reused_and_no_more_than_asked_for() -> None:
    threads = Threads(3)
    names: set[str] = set()
    barrier = threading.Barrier(3, timeout=5)

    def note() -> None:
        assert threading.current_thread().daemon
        names.add(threading.current_thread().name)

    await asyncio.gather(*(threads.run(n, lambda: (note(), barrier.wait())) for n in range(3)))
    await asyncio.gather(*(threads.run(n, note) for n in range(50)))
    assert len(names) == 3
    threads.close()


async def test_an_interruption_hits_its_own_job_only() -> None:
    threads = Threads(1)
    assert not threads.interrupt(1, Interrupted)
    started = threading.Event()
    first = asyncio.create_task(threads.run(1, lambda: (started.set(), spin())))
    await asyncio.to_thread(started.wait)
    assert threads.interrupt(1, Interrupted)
    with pytest.raises(Interrupted):
        await first
    for key in range(200):
        # as close to the end as can be: it may hit the call, or nobody
        running = asyncio.create_task(threads.run(key, lambda: spin(0.0005)))
        await asyncio.sleep(0.0004)
        threads.interrupt(key, Interrupted)
        threads.interrupt(key, SoftTimeLimitExceeded)
        assert (await asyncio.gather(running, return_exceptions=True))[0].__class__ in (
            str,
            Interrupted,
            SoftTimeLimitExceeded,
        )
        assert await threads.run(key, lambda: "well") == "well"


async def test_cancelling_waits_for_the_thread() -> None:
    threads = Threads(1)
    go, ended = threading.Event(), threading.Event()
    running = asyncio.create_task(threads.run(1, lambda: (go.wait(5), ended.set())))
    for _ in range(3):
        await asyncio.sleep(0.02)
        running.cancel()
    await asyncio.sleep(0.02)
    assert not running.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()


async def test_limits() -> None:
    threads = Threads(2)
    with pytest.raises(SoftTimeLimitExceeded):
        await threads.run(1, spin, soft_limit=0.05)

    def stubborn() -> str:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            try:
                spin(0.3)
            except Interrupted:
                continue
        return "late"

    stuck: list[int] = []
    with pytest.raises(TimeLimitExceeded, match=r"time_limit of 0\.05 s"):
        await threads.run(1, stubborn, time_limit=0.05, on_stuck=lambda: stuck.append(1))
    assert stuck == []  # it ended in time for that
    with pytest.raises(TimeLimitExceeded):
        await threads.run(1, lambda: time.sleep(1.3), time_limit=0.05, on_stuck=lambda: stuck.append(1))
    assert stuck == [1]

    def both() -> Any:
        try:
            spin()
        except SoftTimeLimitExceeded:
            spin()

    with pytest.raises(TimeLimitExceeded):
        await threads.run(1, both, soft_limit=0.05, time_limit=0.1)
    assert await threads.run(1, lambda: "in time", soft_limit=5, time_limit=6) == "in time"
