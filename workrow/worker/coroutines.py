"""Run a coroutine with limits."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

from workrow.errors import SoftTimeLimitExceeded, TimeLimitExceeded

T = TypeVar("T")


class _Interruptible:
    """Drives a coroutine, and can turn one cancellation of its task into another exception."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._pending: BaseException | None = None
        self.cancelled_for: BaseException | None = None

    def interrupt(self, task: asyncio.Task[Any], error: BaseException) -> None:
        """Raise ``error`` inside the coroutine, where it awaits now."""
        if not task.done():
            self._pending = error
            task.cancel()

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine = self._coroutine
        resume: Callable[[], Any] = partial(coroutine.send, None)
        try:
            while True:
                try:
                    awaited = resume()
                except StopIteration as end:
                    return end.value
                try:
                    resume = partial(coroutine.send, (yield awaited))
                except BaseException as error:
                    resume = partial(coroutine.throw, self._translated(error))
        finally:
            coroutine.close()

    def _translated(self, error: BaseException) -> BaseException:
        if self._pending is None or not isinstance(error, asyncio.CancelledError):
            return error
        pending, self._pending = self._pending, None
        task = asyncio.current_task()
        assert task is not None
        if _in_task_group(self._coroutine):
            self.cancelled_for = pending
            return error
        if task.uncancel():
            return error  # somebody else wants its end as well
        return pending


def _in_task_group(coroutine: Any) -> bool:
    """Whether it waits at the end of an ``asyncio.TaskGroup``, which ends its tasks for a cancellation and nothing
    else."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and frame.f_globals.get("__name__") == "asyncio.taskgroups":
            return True
        coroutine = getattr(coroutine, "cr_await", None)
    return False


async def run_limited(
    coroutine: Coroutine[Any, Any, T],
    *,
    soft_limit: float | None,
    time_limit: float | None,
    grace: float,
    on_abandoned: Callable[[asyncio.Task[Any]], None],
) -> T:
    """Await a coroutine for a limited time.

    Args:
        coroutine: what to run, in a task of its own.
        soft_limit: seconds after which SoftTimeLimitExceeded is raised inside it, at its current ``await``; at the end
            of an ``asyncio.TaskGroup`` it arrives as a cancellation, and ends as SoftTimeLimitExceeded.
        time_limit: seconds after which it is cancelled.
        grace: seconds it may take to end after that, or after a cancellation from outside.
        on_abandoned: called with its task if it takes longer; it goes on then, and nobody hears how it ends.

    Raises:
        TimeLimitExceeded: it ran into its time limit, however it ended then.
        asyncio.CancelledError: this was cancelled.
        Exception: what the coroutine raised.
    """
    loop = asyncio.get_running_loop()
    interruptible = _Interruptible(coroutine)

    async def drive() -> T:
        try:
            return await interruptible  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            if interruptible.cancelled_for is None:
                raise
            raise interruptible.cancelled_for from None

    task = asyncio.create_task(drive())
    timer = None
    if soft_limit is not None:
        error = SoftTimeLimitExceeded(f"the task ran into its soft_time_limit of {soft_limit:g} s")
        timer = loop.call_later(soft_limit, interruptible.interrupt, task, error)
    try:
        await asyncio.wait([task], timeout=time_limit)
    except asyncio.CancelledError:
        if not await stop(task, grace):
            on_abandoned(task)
        raise
    finally:
        if timer:
            timer.cancel()
    if task.done():
        return task.result()
    if not await stop(task, grace):
        on_abandoned(task)
    raise TimeLimitExceeded(f"the task ran into its time_limit of {time_limit:g} s")


async def stop(task: asyncio.Task[Any], grace: float) -> bool:
    """Cancel a task and wait for its end, ``grace`` seconds at most; False if it refuses."""
    task.add_done_callback(_hear)
    task.cancel()
    await asyncio.wait([task], timeout=grace)
    return task.done()


def _hear(task: asyncio.Task[Any]) -> None:
    """Take the exception, so that asyncio does not report it as never retrieved."""
    if not task.cancelled():
        task.exception()
