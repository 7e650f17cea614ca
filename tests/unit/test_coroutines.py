"""Coroutines with limits."""

import asyncio
import contextvars
import gc
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from workrow.errors import SoftTimeLimitExceeded, TimeLimitExceeded
from workrow.worker.running.coroutines import run_limited, stop

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


async def limited(coroutine: Coroutine[Any, Any, Any], **options: Any) -> Any:
    defaults: dict[str, Any] = {"soft_limit": None, "time_limit": None, "grace": 0.1, "on_abandoned": abandon_nobody}
    return await run_limited(coroutine, **{**defaults, **options})


def abandon_nobody(task: asyncio.Task[Any]) -> None:
    raise AssertionError(f"abandoned: {task}")


async def sleep(seconds: float = 60, result: Any = None) -> Any:
    return await asyncio.sleep(seconds, result)


class Child:
    """Something to wait for, which tells how it ended."""

    def __init__(self) -> None:
        self.end = "running"

    async def run(self) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.end = "cancelled"
            raise


class Refuses:
    """Cannot be cancelled; ends when told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go = asyncio.Event()
        self.cancelled = 0
        self._error = error

    async def run(self) -> str:
        while not self.go.is_set():
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
        if self._error:
            raise self._error
        return "late"


async def test_what_ends_in_time_ends_as_it_does() -> None:
    assert await limited(sleep(0, "result"), soft_limit=5, time_limit=6) == "result"
    assert await limited(sleep(0, "result")) == "result"

    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError("its own")

    with pytest.raises(LookupError, match="its own") as caught:
        await limited(fails(), soft_limit=5)
    assert caught.traceback[-1].name == "fails"

    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await limited(cancels_itself(), soft_limit=5, time_limit=5)


async def test_the_callers_context_is_seen() -> None:
    async def look() -> str:
        return variable.get()

    variable.set("seen")
    assert await limited(look(), soft_limit=5) == "seen"


async def test_the_soft_limit_is_raised_where_it_awaits_and_once() -> None:
    steps: list[str] = []

    async def careful() -> str:
        try:
            try:
                await asyncio.sleep(60)
            finally:
                steps.append("finally")
        except SoftTimeLimitExceeded:
            await asyncio.sleep(0.1)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            return "cleaned up"
        return "never"

    assert await limited(careful(), soft_limit=0.05) == "cleaned up"
    assert steps == ["finally"]

    with pytest.raises(SoftTimeLimitExceeded, match=r"soft_time_limit of 0\.05 s") as caught:
        await limited(sleep(), soft_limit=0.05)
    assert type(caught.value) is SoftTimeLimitExceeded
    assert "sleep" in [entry.name for entry in caught.traceback]


async def test_it_is_an_exception_like_others_to_the_task() -> None:
    async def wraps() -> None:
        try:
            await asyncio.sleep(60)
        except Exception as error:
            raise LookupError("of its own") from error

    with pytest.raises(LookupError) as caught:
        await limited(wraps(), soft_limit=0.05)
    assert isinstance(caught.value.__cause__, SoftTimeLimitExceeded)


async def in_timeout(child: Child) -> None:
    async with asyncio.timeout(60):
        await child.run()


async def in_wait_for(child: Child) -> None:
    await asyncio.wait_for(child.run(), 60)


async def in_gather(child: Child) -> None:
    await asyncio.gather(child.run(), asyncio.sleep(60))


async def at_the_end_of_a_group(child: Child) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(child.run())


async def in_a_timeout_around_a_group(child: Child) -> None:
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(child.run())


async def in_a_task(child: Child) -> None:
    await asyncio.create_task(child.run())


async def in_an_async_generator(child: Child) -> None:
    async def generate() -> AsyncIterator[int]:
        yield 1
        await child.run()
        yield 2

    async for _ in generate():
        pass


WAYS = [
    in_timeout,
    in_wait_for,
    in_gather,
    at_the_end_of_a_group,
    in_a_timeout_around_a_group,
    in_a_task,
    in_an_async_generator,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_the_soft_limit_leaves_nothing_running(way: Any) -> None:
    child = Child()

    async def body() -> str:
        try:
            await way(child)
        except SoftTimeLimitExceeded:
            # what comes later is not disturbed
            async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
                tasks.create_task(asyncio.sleep(0.01))
            return child.end
        return "never"

    # a coroutine which is awaited right here sees the soft limit itself; it is a CancelledError as well
    assert await limited(body(), soft_limit=0.05) == "cancelled"
    with pytest.raises(SoftTimeLimitExceeded) as caught:
        await limited(way(child), soft_limit=0.05)
    assert type(caught.value) is SoftTimeLimitExceeded


async def test_the_soft_limit_in_the_body_of_a_group() -> None:
    child = Child()
    seen: list[BaseException] = []

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(child.run())
            await asyncio.sleep(60)

    async def body() -> str:
        try:
            await group()
        except* SoftTimeLimitExceeded as error:
            seen.append(error)
        return child.end

    assert await limited(body(), soft_limit=0.05) == "cancelled"
    assert seen
    with pytest.raises(SoftTimeLimitExceeded, match=r"soft_time_limit of 0\.05 s"):
        await limited(group(), soft_limit=0.05)


async def test_the_soft_limit_leaves_what_is_shielded() -> None:
    child = Child()
    inner = asyncio.create_task(child.run())

    async def body() -> None:
        await asyncio.shield(inner)

    with pytest.raises(SoftTimeLimitExceeded):
        await limited(body(), soft_limit=0.05)
    assert child.end == "running"
    assert await stop(inner, 5)


@pytest.mark.parametrize("error", [None, LookupError("its answer")])
async def test_the_soft_limit_arrives_though_what_is_awaited_swallows_the_cancellation(error: Any) -> None:
    async def swallows() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if error:
                raise error from None
        return "swallowed"

    async def body() -> Any:
        try:
            await asyncio.create_task(swallows())
        except SoftTimeLimitExceeded as reached:
            task = asyncio.current_task()
            return reached.__cause__, task and task.cancelling()
        return "never"

    assert await limited(body(), soft_limit=0.05) == (error, 0)


async def test_a_timeout_of_the_tasks_own_stays_a_timeout() -> None:
    async def body() -> None:
        async with asyncio.timeout(0.02):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await limited(body(), soft_limit=5, time_limit=5)


async def test_a_cancellation_at_the_same_time_as_the_soft_limit_passes() -> None:
    seen: list[type[BaseException]] = []
    loop = asyncio.get_running_loop()

    async def body() -> None:
        task = asyncio.current_task()
        assert task is not None
        loop.call_at(began + 0.05, task.cancel)
        try:
            await asyncio.sleep(60)
        except BaseException as error:
            seen.append(type(error))
            raise

    began = loop.time()
    running = asyncio.create_task(limited(body(), soft_limit=0.05))
    await asyncio.sleep(0.01)
    while loop.time() < began + 0.1:
        pass  # both are due now
    with pytest.raises(SoftTimeLimitExceeded):
        await running
    assert seen == [asyncio.CancelledError]


async def test_the_time_limit_wins_over_what_it_says_then() -> None:
    async def late(error: Exception | None = None) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if error:
                raise error from None
        return "late"

    error = LookupError("of its cleaning up")
    for coroutine, cause in ((late(), None), (sleep(), asyncio.CancelledError), (late(error), LookupError)):
        with pytest.raises(TimeLimitExceeded, match=r"time_limit of 0\.05 s") as caught:
            await limited(coroutine, time_limit=0.05)
        assert caught.value.__cause__.__class__ is (cause or type(None))


async def test_both_limits() -> None:
    async def careful() -> None:
        try:
            await asyncio.sleep(60)
        except SoftTimeLimitExceeded:
            await asyncio.sleep(60)

    with pytest.raises(TimeLimitExceeded):
        await limited(careful(), soft_limit=0.03, time_limit=0.06)


async def test_the_soft_limit_does_not_disturb_who_cleans_up_already() -> None:
    async def cleans(ended: list[str]) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.1)
            ended.append("cleaned")

    ended: list[str] = []
    with pytest.raises(TimeLimitExceeded):
        await limited(cleans(ended), soft_limit=0.1, time_limit=0.05, grace=5)
    outer = asyncio.create_task(limited(cleans(ended), soft_limit=0.1, grace=5))
    await asyncio.sleep(0.05)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    assert ended == ["cleaned", "cleaned"]


async def test_who_refuses_is_abandoned_and_goes_on_unheard() -> None:
    printed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: printed.append(context))
    refuses = Refuses(LookupError("heard by nobody"))
    abandoned: list[asyncio.Task[Any]] = []
    with pytest.raises(TimeLimitExceeded):
        await limited(refuses.run(), time_limit=0.05, on_abandoned=abandoned.append)
    outer = asyncio.create_task(limited(refuses.run(), time_limit=60, on_abandoned=abandoned.append))
    await asyncio.sleep(0.05)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    assert [task.done() for task in abandoned] == [False, False]
    refuses.go.set()
    await asyncio.wait(abandoned)
    abandoned.clear()
    await asyncio.sleep(0)
    gc.collect()
    assert printed == []


async def test_a_cancellation_from_outside() -> None:
    child = Child()
    outer = asyncio.create_task(limited(child.run(), soft_limit=60, time_limit=60))
    await asyncio.sleep(0.02)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    assert child.end == "cancelled"


async def test_a_cancellation_from_outside_in_the_grace_after_the_time_limit() -> None:
    refuses, abandoned = Refuses(), list[asyncio.Task[Any]]()
    outer = asyncio.create_task(limited(refuses.run(), time_limit=0.02, grace=5))
    while not refuses.cancelled:
        await asyncio.sleep(0.005)
    outer.cancel()
    await asyncio.sleep(0.02)
    assert not outer.done()  # what is left of its grace
    assert refuses.cancelled == 1
    refuses.go.set()
    with pytest.raises(asyncio.CancelledError):
        await outer

    refuses = Refuses()
    outer = asyncio.create_task(limited(refuses.run(), grace=60, on_abandoned=abandoned.append))
    for _ in range(2):
        await asyncio.sleep(0.02)
        outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer  # who is cancelled twice does not wait
    assert len(abandoned) == 1
    refuses.go.set()
    await asyncio.wait(abandoned)


async def test_cancelled_before_its_first_step() -> None:
    outer = asyncio.create_task(limited(sleep()))
    asyncio.get_running_loop().call_soon(outer.cancel)
    with pytest.raises(asyncio.CancelledError):
        await outer
    with pytest.raises(SoftTimeLimitExceeded):
        await limited(sleep(), soft_limit=0)
    with pytest.raises(TimeLimitExceeded):
        await limited(sleep(), time_limit=0)
    gc.collect()  # a coroutine that was never awaited would be reported, and fail this


async def test_stop() -> None:
    obedient = asyncio.create_task(sleep())
    await asyncio.sleep(0)
    assert await stop(obedient, 1)
    assert obedient.cancelled()
    assert await stop(obedient, 1)
    refuses = Refuses()
    task = asyncio.create_task(refuses.run())
    await asyncio.sleep(0)
    assert not await stop(task, 0.02)
    refuses.go.set()
    assert await task == "late"
