"""Threads for sync tasks, which can be interrupted."""

import asyncio
import contextlib
import contextvars
import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from workrow.errors import SoftTimeLimitExceeded, TimeLimitExceeded

T = TypeVar("T")

STUCK_SECONDS = 1.0
"""A thread that has not ended so long after its interruption is in code that does not return to Python."""


class Interrupted(BaseException):
    """Raised inside a thread to end it; no ``Exception``, so that a task's own ``except Exception`` does not stop
    it."""


@dataclass(slots=True, eq=False)
class Work:
    """One call on its way through a thread."""

    key: int
    call: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]
    started: Callable[[], None] | None
    context: contextvars.Context = field(default_factory=contextvars.copy_context)


class Threads:
    """A pool of daemon threads, started as they are needed.

    Not a ThreadPoolExecutor: the interpreter waits for that one's threads at exit, and so for a task that goes on.

    Args:
        size: how many calls run at the same time.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._count = 0
        self._idle = 0
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._running: dict[int, int] = {}

    @property
    def running(self) -> list[int]:
        """The keys of the calls that run now."""
        return list(self._running)

    async def run(
        self,
        key: int,
        call: Callable[[], T],
        *,
        soft_limit: float | None = None,
        time_limit: float | None = None,
        on_stuck: Callable[[], None] | None = None,
    ) -> T:
        """Run ``call`` in a thread, and wait until the thread has ended it even if this is cancelled.

        Args:
            key: what `interrupt` calls it by.
            call: sees the caller's context variables.
            soft_limit: seconds after which SoftTimeLimitExceeded is raised inside.
            time_limit: seconds after which `Interrupted` is raised inside.
            on_stuck: called if that does not end it.

        Raises:
            TimeLimitExceeded: it ran into its time limit, however it ended then.
            Exception: what the call raised.
        """
        loop = asyncio.get_running_loop()
        limits = _Limits(self, key, loop, soft_limit, time_limit, on_stuck)
        limited = soft_limit is not None or time_limit is not None
        work = Work(key, call, loop, loop.create_future(), limits.start if limited else None)
        self._submit(work)
        try:
            return cast("T", await self._end(work.done))
        except BaseException as error:
            if limits.exceeded:
                raise limits.error() from error
            raise
        finally:
            limits.stop()

    @staticmethod
    async def _end(done: asyncio.Future[Any]) -> Any:
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            # the slot is free when the thread is, and not before
            while not done.done():
                try:
                    await asyncio.wait([done])
                except asyncio.CancelledError:
                    continue
            done.exception()  # heard
            raise

    def interrupt(self, key: int, exception: type[BaseException]) -> bool:
        """Raise ``exception`` inside the thread that runs ``key``, as soon as it is in Python code; False if none
        does."""
        with self._lock:
            ident = self._running.get(key)
            if ident is None:
                return False
            return bool(_raise_in(ident, exception))

    def close(self) -> None:
        """Let the threads end, the busy ones after their call."""
        for _ in range(self._count):
            self._queue.put(None)

    def _submit(self, work: Work) -> None:
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._count < self._size:
                self._count += 1
                threading.Thread(target=self._live, name=f"workrow-task-{self._count}", daemon=True).start()
        self._queue.put(work)

    def _live(self) -> None:
        while (work := self._queue.get()) is not None:
            result: Any = None
            error: BaseException | None = None
            try:
                result = self._call(work)
            except BaseException as raised:
                error = raised
            self._finish(work, result, error)
            del work, result, error

    def _call(self, work: Work) -> Any:
        ident = threading.get_ident()
        with self._lock:
            self._running[work.key] = ident
        try:
            if work.started:
                work.started()
            return work.context.run(work.call)
        finally:
            self._forget(work.key, ident)

    def _forget(self, key: int, ident: int) -> None:
        """From here on nobody interrupts; what was raised too late is taken back."""
        while True:
            try:
                with self._lock:
                    self._running.pop(key, None)
                    _raise_in(ident, None)
                return
            except (Interrupted, SoftTimeLimitExceeded):
                continue

    def _finish(self, work: Work, result: Any, error: BaseException | None) -> None:
        with self._lock:
            self._idle += 1
        with contextlib.suppress(RuntimeError):  # the loop is closed: the worker has left this task behind
            work.loop.call_soon_threadsafe(_settle, work.done, result, error)


class _Limits:
    """The timers of one call; they start with it."""

    def __init__(
        self,
        threads: Threads,
        key: int,
        loop: asyncio.AbstractEventLoop,
        soft_limit: float | None,
        time_limit: float | None,
        on_stuck: Callable[[], None] | None,
    ) -> None:
        self._threads = threads
        self._key = key
        self._loop = loop
        self._soft_limit = soft_limit
        self._time_limit = time_limit
        self._on_stuck = on_stuck
        self._timers: list[asyncio.TimerHandle] = []
        self._over = False
        self.exceeded = False

    def start(self) -> None:
        """Called in the thread."""
        self._loop.call_soon_threadsafe(self._set)

    def stop(self) -> None:
        self._over = True
        for timer in self._timers:
            timer.cancel()

    def error(self) -> TimeLimitExceeded:
        return TimeLimitExceeded(f"the task ran into its time_limit of {self._time_limit:g} s")

    def _set(self) -> None:
        if self._over:
            return
        if self._soft_limit is not None:
            self._later(self._soft_limit, self._interrupt_softly)
        if self._time_limit is not None:
            self._later(self._time_limit, self._interrupt)

    def _later(self, seconds: float, call: Callable[[], object]) -> None:
        self._timers.append(self._loop.call_later(seconds, call))

    def _interrupt_softly(self) -> None:
        self._threads.interrupt(self._key, SoftTimeLimitExceeded)

    def _interrupt(self) -> None:
        self.exceeded = True
        self._threads.interrupt(self._key, Interrupted)
        if self._on_stuck:
            self._later(STUCK_SECONDS, self._on_stuck)


def _settle(done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(result)
    elif isinstance(error, StopIteration):
        done.set_exception(RuntimeError(f"the task raised {error!r}"))  # which a future cannot carry
    else:
        done.set_exception(error)


def _raise_in(ident: int, exception: type[BaseException] | None) -> int:
    """https://docs.python.org/3/c-api/threads.html#c.PyThreadState_SetAsyncExc"""
    argument = None if exception is None else ctypes.py_object(exception)
    found: int = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), argument)
    return found
