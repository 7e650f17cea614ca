"""Threads for sync tasks, which can be interrupted."""

import asyncio
import contextlib
import contextvars
import ctypes
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from workrow.database import forks
from workrow.errors import SoftTimeLimitExceeded
from workrow.worker.job_logs import carried
from workrow.worker.running.time_limits import TimeLimits

T = TypeVar("T")


class Work:
    """One call on its way through a thread."""

    __slots__ = (
        *("call", "context", "key", "started"),
        *("done", "ended", "error", "ident", "interrupted", "over", "result"),
    )

    def __init__(self, key: int, call: Callable[[], Any], started: Callable[[], None] | None) -> None:
        self.key = key
        self.call = call
        self.started = started
        self.context = contextvars.copy_context()
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.ident = 0
        self.over = self.interrupted = self.ended = False
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        """In the event loop: the thread has ended it."""
        self.ended = True
        if not self.done.done():
            # not its error, which a future would look at, and throw past whoever awaits it if it is a GeneratorExit
            self.done.set_result(None)

    def outcome(self) -> Any:
        """Return what the call returned, or raise what it raised."""
        error, self.error = self.error, None
        try:
            if error is None:
                return self.result
            raise carried(error) if issubclass(type(error), StopIteration) else error
        finally:
            del error  # its traceback keeps this frame


class Threads:
    """A pool of daemon threads, started as they are needed; for one event loop.

    Not a ThreadPoolExecutor: the interpreter waits for that one's threads at exit, and so for a task that goes on.

    Args:
        size: how many calls run at the same time.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._generation = forks.generation
        self._loop: asyncio.AbstractEventLoop | None = None
        self._count = 0
        self._idle = 0
        self._closed = False
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._running: dict[int, Work] = {}
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
        soft_error: type[BaseException] = SoftTimeLimitExceeded,
        on_stuck: Callable[[], None] | None = None,
    ) -> T:
        """Run ``call`` in a thread, and wait until the thread has ended it even if this is cancelled.

        Args:
            key: what `interrupt` calls it by; with two of a key, that is the later one.
            call: sees the caller's context variables.
            soft_limit: seconds after which ``soft_error`` is raised inside.
            time_limit: seconds after which `Interrupted` is raised inside.
            soft_error: its type, for it is raised without arguments.
            on_stuck: called if that has not ended it 1 s later.

        Raises:
            TimeLimitExceeded: it was still running at its time limit, however it ended then.
            asyncio.CancelledError: this was cancelled, and the thread has ended.
            RuntimeError: the pool is closed, or belongs to another event loop.
            Exception: what the call raised.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._bind(loop)
        if soft_limit is None and time_limit is None:
            return cast("T", await self._run(Work(key, call, None)))
        work = Work(key, call, None)
        limits = TimeLimits(loop, partial(self._interrupt, work), soft_limit, time_limit, soft_error, on_stuck)
        work.started = limits.start
        try:
            result = await self._run(work)
        except BaseException as error:
            translated = limits.translated(error)
            if translated is error:
                raise
            raise translated from error
        finally:
            limits.stop()
        if limits.exceeded:
            raise limits.error()
        return cast("T", result)

    def interrupt(self, key: int, exception: type[BaseException]) -> bool:
        """Raise ``exception`` inside the thread that runs ``key``, as soon as it is in Python code; False if none
        does. From any thread."""
        work = self._running.get(key)
        return work is not None and self._interrupt(work, exception)

    def replace(self) -> None:
        """Allow one thread more: one is lost to a call that does not end, and whose slot was given to others."""
        with self._lock:
            self._size += 1

    def resize(self, size: int) -> None:
        """Allow so many threads; those that are there already stay."""
        with self._lock:
            self._size = max(self._size, size)

    def close(self) -> None:
        """Let the threads end, the busy ones after their call."""
        with self._lock:
            self._closed = True
            for _ in range(self._count):
                self._queue.put(None)

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None:
            raise RuntimeError("these threads belong to another event loop")
        self._loop = loop

    async def _run(self, work: Work) -> Any:
        self._submit(work)
        try:
            await work.done
            return work.outcome()
        except asyncio.CancelledError:
            # the slot is free when the thread is, and not before
            while not work.ended:
                work.done = asyncio.get_running_loop().create_future()
                with contextlib.suppress(BaseException):
                    await work.done
            raise
        finally:
            del work

    def _submit(self, work: Work) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("these threads are closed")
            if self._idle:
                self._idle -= 1
            elif self._count < self._size:
                threading.Thread(target=self._live, name=f"workrow-task-{self._count + 1}", daemon=True).start()
                self._count += 1
            self._queue.put(work)

    def _interrupt(self, work: Work, exception: type[BaseException]) -> bool:
        with self._lock:
            if work.over or not work.ident:
                return False
            work.interrupted = True
            return bool(_raise_in(work.ident, exception))

    def _live(self) -> None:
        while (work := self._queue.get()) is not None:
            # After the call, two exceptions at most may still arrive, between any two instructions of ours: one that
            # waits already, and one whose sender has looked at work.over before it was set.
            try:
                self._serve(work)
            except BaseException:
                try:
                    self._retire(work)
                except BaseException:
                    self._retire(work)
            del work

    def _serve(self, work: Work) -> None:
        try:
            work.ident = threading.get_ident()
            self._running[work.key] = work
            if work.started:
                work.started()
            work.result = work.context.run(work.call)
        except BaseException as error:
            work.error = error
        forks.leave_worker(f"job {work.key}", self._generation, work.error)
        work.over = True
        self._retire(work)
        del work  # an error's traceback keeps this frame, and the work keeps the error

    def _retire(self, work: Work) -> None:
        with self._lock:
            if self._running.get(work.key) is work:
                del self._running[work.key]
            if work.interrupted:
                # nobody interrupts any more; what was raised too late is taken back
                _raise_in(work.ident, None)
            self._idle += 1
            self._ended.append(work)
            if self._told:
                return
            self._told = True
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: the worker has left this task behind
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        """All that have ended meanwhile, with one wake-up of the loop."""
        with self._lock:
            self._told = False
            ended, self._ended = self._ended, deque()
        for work in ended:
            work.settle()


def _raise_in(ident: int, exception: type[BaseException] | None) -> int:
    """https://docs.python.org/3/c-api/threads.html#c.PyThreadState_SetAsyncExc"""
    argument = None if exception is None else ctypes.py_object(exception)
    found: int = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), argument)
    return found
