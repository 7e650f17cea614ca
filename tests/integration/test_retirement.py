"""A worker that ends in order after so many jobs, or when it holds too much."""

import asyncio
import os
from collections import Counter
from typing import Any

import pytest

import workrow
from tests.integration.test_worker import run
from workrow.worker.living import retirement
from workrow.worker.running.children.vitals import resident


def counted(conn: Any) -> Counter[str]:
    return Counter(dict(conn.execute("SELECT status, count(*) FROM workrow.jobs GROUP BY status").fetchall()))


async def test_after_so_many_jobs_it_ends_and_the_rest_is_given_back(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="quick")
    async def quick() -> None: ...

    await quick.enqueue_many(None, [{}] * 50)
    await quick.enqueue_many(None, [{}] * 50)
    await open_app.run_worker_async(install_signal_handlers=False, max_jobs=9)  # type: ignore[call-arg]
    assert counted(conn) == {"succeeded": 9, "todo": 91}
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs WHERE attempts > 0").fetchone() == (0,)
    assert conn.execute("SELECT count(*) FROM procrastinate_workers").fetchone() == (0,)


async def test_what_runs_ends_before_it(open_app: workrow.App, conn: Any) -> None:
    done = asyncio.Event()

    @open_app.task(name="first")
    async def first() -> None:
        asyncio.get_running_loop().call_later(0.3, done.set)

    @open_app.task(name="second")
    async def second() -> None:
        await done.wait()

    await second.enqueue(None)
    await first.enqueue(None)
    await open_app.run_worker_async(install_signal_handlers=False, concurrency=2, max_jobs=1)  # type: ignore[call-arg]
    assert counted(conn) == {"succeeded": 2}


async def test_over_its_memory_it_ends_after_a_job(
    open_app: workrow.App, conn: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(retirement, "LOOK_SECONDS", 0)
    kept: list[bytearray] = []

    @open_app.task(name="leak")
    async def leak() -> None:
        kept.append(bytearray(b"x") * (40 * 2**20))

    await leak.enqueue_many(None, [{}] * 10)
    most = resident(os.getpid()) // 2**20 + 100
    await open_app.run_worker_async(install_signal_handlers=False, max_memory=most)  # type: ignore[call-arg]
    assert 1 < len(kept) < 5
    assert counted(conn) == {"succeeded": len(kept), "todo": 10 - len(kept)}
    assert f"its max_memory is {most}" in caplog.text
    with pytest.raises(workrow.OptionError, match=r"max_memory=1: the worker holds \d+ MiB before its first job"):
        await run(open_app, max_memory=1)


@pytest.mark.parametrize("most", [1, 9, 10, 1000])
def test_a_fleet_does_not_end_at_once(most: int) -> None:
    ends = {retirement.Retirement(most, None, lambda: None)._left for _ in range(1000)}
    assert max(ends) == most
    assert min(ends) == most - most // 10


def test_nothing_is_counted_for_nothing() -> None:
    assert retirement.Retirement(None, None, lambda: None).job_ended is None
