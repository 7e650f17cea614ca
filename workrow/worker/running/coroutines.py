"""Run a coroutine with limits."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import cache, partial
from typing import Any, TypeVar

from workrow.errors import SoftTimeLimitExceeded, TimeLimitExceeded

T = TypeVar("T")


@cache
def _cancelling(error: type[Exception]) -> type[Exception]:
    """The class of what arrives inside a coroutine at its soft limit.

    A cancellation as well, because whoever waits there is often a library which cleans up for nothing else: TaskGroup
    ends its tasks, wait_for() what it waits for, psycopg the statement that the server still runs.
    """
    return type(error.__name__, (error, asyncio.CancelledError), {"__module__": error.__module__})


class _Contained(Exception):
    """Stands for what would end the event loop, if a task raised it."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class _Interruptible:
    """Drives a coroutine, and can turn one cancellation of its task into the soft limit's exception."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], soft_error: type[Exception]) -> None:
        self._coroutine = coroutine
        self._soft_error = soft_error
        self._arriving = _cancelling(soft_error)  # type: ignore[arg-type]  # classes are hashable
        self._pending: Exception | None = None
        self._overtaken: Exception | None = None

    def interrupt(self, task: asyncio.Task[Any], *told: str) -> None:
        """Raise the soft limit's exception inside the coroutine, where it awaits now."""
        if not task.done():
            self._pending = self._arriving(*told)
            task.cancel()

    async def run(self) -> Any:
        try:
            return await self
        except self._arriving as error:
            # a task that raises any kind of CancelledError counts as cancelled
            raise self._soft_error(*error.args).with_traceback(error.__traceback__) from error.__cause__
        except BaseExceptionGroup as error:
            # raised in the body of a TaskGroup, where before 3.13 everything but a mere CancelledError ends in a group
            soft, others = error.split(self._arriving)
            if soft is None or others is not None:
                raise
            raise self._soft_error(*_first(soft).args) from error
        except (SystemExit, KeyboardInterrupt) as error:
            raise _Contained(error) from None
        except asyncio.CancelledError as error:
            if self._overtaken:
                raise self._soft_error(*self._overtaken.args) from error
            raise

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine = self._coroutine
        resume: Callable[[], Any] = partial(coroutine.send, None)
        while True:
            try:
                awaited = resume()
            except StopIteration as end:
                return end.value
            try:
                sent = yield awaited
            except GeneratorExit:  # the loop is gone
                coroutine.close()
                raise
            except BaseException as error:
                resume = partial(coroutine.throw, self._translated(error) if self._pending else error)
            else:
                # still pending: what it awaited has swallowed our cancellation, so we raise it ourselves
                pending = self._pending
                resume = (
                    partial(coroutine.throw, self._translated(pending)) if pending else partial(coroutine.send, sent)
                )

    def _translated(self, error: BaseException) -> BaseException:
        """What to raise inside instead of ``error``, which our cancellation led to."""
        pending, self._pending = self._pending, None
        task = asyncio.current_task()
        assert pending is not None
        assert task is not None
        if task.uncancel():
            self._overtaken = pending
            return error  # somebody else wants its end as well
        if not isinstance(error, asyncio.CancelledError):
            pending.__cause__ = error
        return pending


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def run_limited(
    coroutine: Coroutine[Any, Any, T],
    *,
    soft_limit: float | None,
    time_limit: float | None,
    soft_error: type[Exception] = SoftTimeLimitExceeded,
    grace: float = 5.0,
    on_abandoned: Callable[[asyncio.Task[Any]], None],
) -> T:
    """Await a coroutine for a limited time.

    Args:
        coroutine: what to run, in a task of its own.
        soft_limit: seconds after which ``soft_error`` is raised inside it, at its current ``await``, once. It is
            an ``asyncio.CancelledError`` there too, so that what it awaits is cleaned up as for a cancellation. In the
            body of a TaskGroup, before Python 3.13, it ends in the group's ExceptionGroup, as every exception does;
            ``except*`` around the group takes it on every version.
        time_limit: seconds after which it is cancelled.
        soft_error: its type; another one than this is raised without arguments.
        grace: seconds it may take to end after that, or after a cancellation from outside.
        on_abandoned: called with its task if it takes longer; it goes on then, and nobody hears how it ends.

    Raises:
        TimeLimitExceeded: it ran into its time limit, however it ended then.
        asyncio.CancelledError: this was cancelled.
        Exception: what the coroutine raised.
    """
    interruptible = _Interruptible(coroutine, soft_error)
    task: asyncio.Task[T] = asyncio.create_task(interruptible.run())
    task.add_done_callback(lambda _: coroutine.close())  # for a task that was cancelled before its first step
    timer = None
    if soft_limit is not None:
        ours = soft_error is SoftTimeLimitExceeded
        told = [f"the task ran into its soft_time_limit of {soft_limit:g} s"] if ours else []
        timer = asyncio.get_running_loop().call_later(soft_limit, interruptible.interrupt, task, *told)
    try:
        exceeded = await _wait(task, time_limit, timer, grace)
    finally:
        if not task.done():
            on_abandoned(task)
    if not exceeded:
        try:
            return task.result()
        except _Contained as contained:
            raise contained.error from None
    raise TimeLimitExceeded(f"the task ran into its time_limit of {time_limit:g} s") from _error(task)


async def _wait(
    task: asyncio.Task[Any], time_limit: float | None, timer: asyncio.TimerHandle | None, grace: float
) -> bool:
    """Wait for its end, or make it end at the limit; True then."""
    exceeded = False
    try:
        await asyncio.wait([task], timeout=time_limit)
        if timer:
            timer.cancel()
        if task.done():
            return False
        exceeded = True
        await stop(task, grace)
    except asyncio.CancelledError:
        if timer:
            timer.cancel()
        if exceeded:
            # it has been told already; once more would disturb its cleaning up
            await asyncio.wait([task], timeout=grace)
        else:
            await stop(task, grace)
        raise
    return True


def _error(task: asyncio.Task[Any]) -> BaseException | None:
    """What ended it; its traceback says where."""
    if task.done():
        try:
            task.result()
        except _Contained as contained:
            return contained.error
        except BaseException as error:
            return error
    return None


async def stop(task: asyncio.Task[Any], grace: float) -> bool:
    """Cancel a task and wait for its end, ``grace`` seconds at most; False if it refuses.

    Its exception, now or later, is taken: asyncio does not report it.
    """
    task.add_done_callback(_hear)
    task.cancel()
    await asyncio.wait([task], timeout=grace)
    return task.done()


def _hear(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
