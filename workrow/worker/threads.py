"""Threads for sync tasks, which can be interrupted."""

import asyncio
import contextlib
import contextvars
import ctypes
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from workrow.errors import SoftTimeLimitExceeded, TimeLimitExceeded

T = TypeVar("T")

STUCK_SECONDS = 1.0
"""A thread that has not ended so long after its interruption is in code that does not return to Python."""


class Interrupted(BaseException):
    """Raised inside a thread to end it; no ``Exception``, so that a task's own ``except Exception`` does not stop
    it."""


class Work:
    """One call on its way through a thread."""

    __slots__ = ("call", "context", "done", "ended", "error", "key", "ran", "result", "started", "told")

    def __init__(self, key: int, call: Callable[[], Any], started: Callable[[], None] | None) -> None:
        self.key = key
        self.call = call
        self.started = started
        self.context = contextvars.copy_context()
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.ran = self.told = self.ended = False
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        """In the event loop: the thread has ended it."""
        self.ended = True
        if self.done.done():
            return
        if self.error is None:
            self.done.set_result(self.result)
        elif isinstance(self.error, StopIteration):
            self.done.set_exception(RuntimeError(f"the task raised {self.error!r}"))  # which a future cannot carry
        else:
            self.done.set_exception(self.error)


class Threads:
    """A pool of daemon threads, started as they are needed.

    Not a ThreadPoolExecutor: the interpreter waits for that one's threads at exit, and so for a task that goes on.

    Args:
        size: how many calls run at the same time.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._loop: asyncio.AbstractEventLoop
        self._count = 0
        self._idle = 0
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._running: dict[int, int] = {}
        self._interrupted: set[int] = set()
        self._ended: deque[Work] = deque()
        self._told = False

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
        self._loop = asyncio.get_running_loop()
        if soft_limit is None and time_limit is None:
            return cast("T", await self._run(Work(key, call, None)))
        limits = _Limits(self, key, self._loop, soft_limit, time_limit, on_stuck)
        try:
            result = await self._run(Work(key, call, limits.start))
        except BaseException as error:
            if limits.exceeded:
                raise limits.error() from error
            raise
        finally:
            limits.stop()
        if limits.exceeded:
            raise limits.error()
        return cast("T", result)

    async def _run(self, work: Work) -> Any:
        self._submit(work)
        try:
            return await work.done
        except asyncio.CancelledError:
            # the slot is free when the thread is, and not before
            while not work.ended:
                work.done = self._loop.create_future()
                with contextlib.suppress(BaseException):
                    await work.done
            raise

    def interrupt(self, key: int, exception: type[BaseException]) -> bool:
        """Raise ``exception`` inside the thread that runs ``key``, as soon as it is in Python code; False if none
        does."""
        with self._lock:
            ident = self._running.get(key)
            if ident is None:
                return False
            self._interrupted.add(key)
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
            while not work.told:
                try:
                    self._serve(work)
                except (Interrupted, SoftTimeLimitExceeded) as error:
                    # it may arrive between any two instructions of ours
                    if not work.ran:
                        work.ran, work.error = True, error
            del work

    def _serve(self, work: Work) -> None:
        ident = threading.get_ident()
        if not work.ran:
            try:
                self._running[work.key] = ident
                if work.started:
                    work.started()
                work.result = work.context.run(work.call)
            except BaseException as error:
                work.error = error
            work.ran = True
        with self._lock:
            # from here on nobody interrupts; what was raised too late is taken back
            self._running.pop(work.key, None)
            if work.key in self._interrupted:
                self._interrupted.discard(work.key)
                _raise_in(ident, None)
        self._tell(work)

    def _tell(self, work: Work) -> None:
        with self._lock:
            work.told = True
            self._idle += 1
            self._ended.append(work)
            if self._told:
                return
            self._told = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: the worker has left this task behind
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        """All that have ended meanwhile, with one wake-up of the loop."""
        with self._lock:
            self._told = False
            ended, self._ended = self._ended, deque()
        for work in ended:
            work.settle()


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


def _raise_in(ident: int, exception: type[BaseException] | None) -> int:
    """https://docs.python.org/3/c-api/threads.html#c.PyThreadState_SetAsyncExc"""
    argument = None if exception is None else ctypes.py_object(exception)
    found: int = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), argument)
    return found
