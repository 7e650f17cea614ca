"""Tasks that are ``async def``: each runs to its end in the thread that has called it."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any

LOOK_SECONDS = 0.2
"""So often a loop in a thread wakes up: what is to be raised inside of a thread waits for its next step."""
_of_thread = threading.local()


class _Driven:
    """Drives a coroutine, into which an error can be raised where it waits."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self.pending: BaseException | None = None

    async def run(self) -> Any:
        return await self

    def __await__(self) -> Generator[Any, Any, Any]:
        resume: Callable[[], Any] = partial(self._coroutine.send, None)
        while True:
            try:
                awaited = resume()
            except StopIteration as end:
                return end.value
            try:
                sent = yield awaited
            except BaseException as error:
                pending, self.pending = self.pending, None
                resume = partial(self._coroutine.throw, pending or error)
            else:
                resume = partial(self._coroutine.send, sent)


def ended(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What it returns; raises what it raises.

    A time limit is raised inside of it. Tasks that it has started and not waited for are cancelled.

    Args:
        coroutine: what to run, in a loop of this thread that the next one gets too; in another thread, if a loop runs
            here already.
    """
    if asyncio._get_running_loop() is None:
        return _run(coroutine)
    outcome: list[Any] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            outcome[:] = [True, context.run(_run, coroutine)]
        except BaseException as error:
            outcome[:] = [False, error]
        finally:
            _loop().close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if outcome[0]:
        return outcome[1]
    raise outcome[1]


def _loop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop | None = getattr(_of_thread, "loop", None)
    if loop is None or loop.is_closed():
        loop = _of_thread.loop = asyncio.new_event_loop()
    return loop


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    loop, driven = _loop(), _Driven(coroutine)
    task = loop.create_task(driven.run())
    waking: list[asyncio.TimerHandle] = []

    def wake() -> None:
        waking[:] = [loop.call_later(LOOK_SECONDS, wake)]

    if threading.current_thread() is not threading.main_thread():
        wake()
    try:
        while True:
            try:
                return loop.run_until_complete(task)
            except BaseException as error:
                if task.done():
                    raise
                # raised in the loop itself, by a signal or from another thread
                driven.pending = error
                task.cancel()
    finally:
        for each in waking:
            each.cancel()
        left = asyncio.all_tasks(loop)
        for other in left:
            other.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
