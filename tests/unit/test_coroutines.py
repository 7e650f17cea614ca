"""Coroutines with limits."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from workrow.errors import SoftTimeLimitExceeded, TimeLimitExceeded
from workrow.worker.coroutines import run_limited, stop


async def limited(coroutine: Coroutine[Any, Any, Any], **options: Any) -> Any:
    defaults: dict[str, Any] = {"soft_limit": None, "time_limit": None, "grace": 0.1, "on_abandoned": lambda _: None}
    return await run_limited(coroutine, **{**defaults, **options})


async def sleep(seconds: float, result: Any = None) -> Any:
    return await asyncio.sleep(seconds, result)


async def test_in_time() -> None:
    assert await limited(sleep(0, "result"), soft_limit=5, time_limit=6) == "result"

    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError("its own")

    with pytest.raises(LookupError, match="its own"):
        await limited(fails(), soft_limit=5)


async def test_the_soft_limit_is_raised_where_it_awaits_and_once() -> None:
    async def careful() -> str:
        try:
            await asyncio.gather(sleep(60), sleep(60))
        except SoftTimeLimitExceeded:
            await asyncio.sleep(0.1)
            return "cleaned up"
        return "never"

    assert await limited(careful(), soft_limit=0.05) == "cleaned up"

    async def in_timeout() -> None:
        async with asyncio.timeout(60):
            await asyncio.sleep(60)

    with pytest.raises(SoftTimeLimitExceeded, match=r"soft_time_limit of 0\.05 s"):
        await limited(in_timeout(), soft_limit=0.05)


async def test_the_tasks_of_a_group_end_with_it() -> None:
    ended: list[str] = []

    async def member() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("member")

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(member())

    with pytest.raises(SoftTimeLimitExceeded):
        await limited(group(), soft_limit=0.05)
    assert ended == ["member"]


async def test_the_time_limit_wins_over_what_it_returns_then() -> None:
    async def late() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "late"
        return "never"

    for coroutine in (late(), sleep(60)):
        with pytest.raises(TimeLimitExceeded, match=r"time_limit of 0\.05 s"):
            await limited(coroutine, time_limit=0.05)


async def test_who_refuses_is_abandoned() -> None:
    go = asyncio.Event()

    async def refuses() -> None:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue
        raise LookupError("heard by nobody")

    abandoned: list[asyncio.Task[Any]] = []
    with pytest.raises(TimeLimitExceeded):
        await limited(refuses(), time_limit=0.05, on_abandoned=abandoned.append)
    outer = asyncio.create_task(limited(refuses(), time_limit=60, on_abandoned=abandoned.append))
    await asyncio.sleep(0.05)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    assert [task.done() for task in abandoned] == [False, False]
    go.set()
    await asyncio.wait(abandoned)


async def test_a_cancellation_is_none_of_the_limits_business() -> None:
    outer = asyncio.create_task(limited(sleep(60), soft_limit=60))
    await asyncio.sleep(0.02)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    obedient = asyncio.create_task(sleep(60))
    await asyncio.sleep(0)
    assert await stop(obedient, 1)
