"""One child process, as its parent sees it."""

import asyncio
import atexit
import contextlib
import itertools
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any
from weakref import WeakSet

from workrow.context import Step
from workrow.errors import MemoryLimitExceeded, ProcessCrashed, TimeLimitExceeded
from workrow.worker.running.children import child
from workrow.worker.running.children.answer import Answer
from workrow.worker.running.children.child import ABORT, PARENTS_SIGNALS, Call
from workrow.worker.running.children.vitals import how_it_ended, resident

MEMORY_SECONDS = 0.1
"""How often the memory of a child with a limit is looked at."""
START_SECONDS = 60.0
"""What a child may take to start: it imports the main module, which may be slow, and may also never end."""
POLL_SECONDS = 1.0
"""How often a child is asked whether it lives, where the system cannot say so by itself."""
REAP_SECONDS = 1.0
"""How long the exit code of a dead child may be on its way, when another thread has collected it."""
MIB = 2**20
AT_ONCE = 2**16
"""So many bytes are sent without waiting: the connection's buffer takes them, whatever the child does."""

_spawn = multiprocessing.get_context("spawn")
_starting = threading.Semaphore(os.cpu_count() or 1)
"""An interpreter that starts is a second of CPU: a pool of them at once would starve what runs."""
_numbers = itertools.count(1)
_children: "WeakSet[Spawned]" = WeakSet()
_parent = os.getpid()


@atexit.register
def _end_all() -> None:
    # multiprocessing waits at exit for children that nobody has ended
    if os.getpid() == _parent:  # a fork has the list, not the children
        for each in list(_children):
            each.kill()


class Spawned:
    """One process, and the thread that waits for its answers and for its end.

    Args:
        forget: called when the process is no more.
    """

    def __init__(self, forget: "Callable[[Spawned], object]" = lambda _: None) -> None:
        self.jobs = 0
        self.alive = True
        self._forget = forget
        self._ready = self._late = False
        self._sent = self._asked = False
        self._on_progress: Callable[[Step], None] = lambda _: None
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Answer] | None = None
        self._started = asyncio.Event()
        self._gone = asyncio.Event()
        self._connection, theirs = _spawn.Pipe()
        self._sending = threading.Lock()
        self._process: SpawnProcess = _spawn.Process(
            target=child.main,
            args=(theirs, os.getpid(), logging.getLogger().getEffectiveLevel()),
            name=f"workrow-child-{next(_numbers)}",
        )
        self._pidfd = -1
        _children.add(self)
        # starting takes some hundredths of a second, in which the loop must go on. And the thread must last as long
        # as the child: that dies with the thread that started it
        threading.Thread(target=self._live, args=(theirs,), name=self._process.name, daemon=True).start()

    async def run(
        self,
        call: Call,
        time_limit: float | None,
        max_memory: int | None,
        on_progress: Callable[[Step], None] = lambda _: None,
        *,
        asked: bool = False,
    ) -> Answer:
        """Send the call and await the answer."""
        message = pickle.dumps(call)
        self._on_progress = on_progress
        self.jobs += 1
        self._sent, self._asked = False, asked
        self._answer = self._loop.create_future()
        attending = asyncio.create_task(self._attend(message, time_limit, max_memory))
        try:
            return await self._answer
        finally:
            attending.cancel()
            self._answer = None

    def ask(self) -> None:
        """Request that the job aborts."""
        if self._sent and not self._asked:
            self._send(pickle.dumps(ABORT))
        self._asked = True

    def end(self, error: Exception) -> None:
        """Kill it, and let who awaits the answer hear why."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.kill()

    def kill(self) -> None:
        """Kill it, with the programs that it has started."""
        self.alive = False
        with contextlib.suppress(ValueError, AttributeError):  # closed already; not started yet
            if self._process.is_alive():
                self._kill_group()
            self._process.kill()

    def lives(self) -> bool:
        """Whether it has not died while it was idle."""
        try:
            # asking for the process alone does not do: somebody else may have collected it
            return self.alive and not wait([self._death()], 0) and self._process.is_alive()
        except ValueError:  # closed
            return False

    @property
    def pid(self) -> int | None:
        """Of its process; None: it has ended."""
        with contextlib.suppress(ValueError):  # closed
            return self._process.pid
        return None

    async def gone(self) -> None:
        """Wait until it is no more."""
        await self._gone.wait()

    def memory(self) -> int:
        """Its resident memory in bytes; 0 if there is none to be seen."""
        with contextlib.suppress(ValueError):  # closed
            return resident(self._process.pid) if self.alive and self._process.pid else 0
        return 0

    async def _attend(self, message: bytes, time_limit: float | None, max_memory: int | None) -> None:
        """Send the call when the child has started, and hold it to its limits."""
        await self._started.wait()
        timer = None
        if time_limit is not None:
            error = TimeLimitExceeded(f"the task ran into its time_limit of {time_limit:g} s")
            timer = self._loop.call_later(time_limit, self.end, error)
        try:
            if len(message) > AT_ONCE:  # a child that is stopped does not read
                await asyncio.to_thread(self._send, message)
            else:
                self._send(message)
            self._sent = True
            if self._asked:
                self._send(pickle.dumps(ABORT))
            await (self.gone() if max_memory is None else self._watch_memory(max_memory))
        finally:
            if timer:
                timer.cancel()

    def _send(self, message: bytes) -> None:
        with self._sending, contextlib.suppress(OSError):  # its end is told by the thread
            self._connection.send_bytes(message)

    async def _watch_memory(self, max_memory: int) -> None:
        while True:
            used = self.memory() if sys.platform == "linux" else await asyncio.to_thread(self.memory)
            if used > max_memory * MIB:
                self.end(MemoryLimitExceeded(f"the task used {used // MIB} MiB, its max_memory is {max_memory}"))
                return
            await asyncio.sleep(MEMORY_SECONDS)

    def _live(self, theirs: Connection) -> None:
        """In the thread: all of the child's life."""
        try:
            with _starting:
                cause = self._start(theirs)
                lives = cause is None and self._receive(START_SECONDS)
            while lives:
                lives = self._receive()
            self.alive = False
            if cause is None:
                cause = self._bury()
        except BaseException as error:
            self.kill()
            cause = f"{type(error).__name__}: {error}"  # nobody is to wait for a thread that is no more
            raise
        finally:
            with self._sending:
                self._connection.close()
            if self._pidfd >= 0:
                os.close(self._pidfd)
            self._call(self._ended, cause)

    def _start(self, theirs: Connection) -> str | None:
        """None, or why it has not been started."""
        try:
            if not self.alive:
                return "killed before it was started"
            resource_tracker.ensure_running()  # it would unblock the signals
            # they wait until the child can answer them
            signal.pthread_sigmask(signal.SIG_BLOCK, PARENTS_SIGNALS)
            self._process.start()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            theirs.close()
        if not self.alive:
            self._process.kill()
        if sys.platform == "linux":
            # the sentinel is a pipe, which forks of the child hold open
            with contextlib.suppress(OSError):
                self._pidfd = os.pidfd_open(self._process.pid or 0)
        return None

    def _receive(self, seconds: float | None = None) -> bool:
        """Wait for an answer, and pass it on; False if there is none to come."""
        until = None if seconds is None else time.monotonic() + seconds
        known = self._pidfd >= 0
        while not (arrived := wait([self._connection, self._death()], seconds if known else POLL_SECONDS)):
            if until is not None and time.monotonic() >= until:
                self._late = True
                self._process.kill()
                return False
            if not self._process.is_alive():
                return False
        if self._connection not in arrived:
            return False
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            return False
        self._ready = True
        self._call(self._answered, answer)
        return True

    def _death(self) -> int:
        """The descriptor that is readable when it is dead."""
        return self._pidfd if self._pidfd >= 0 else self._process.sentinel

    def _bury(self) -> str:
        """Wait for the end of a child that does not answer any more; how it ended."""
        self._process.join()
        self._kill_group()
        until = time.monotonic() + REAP_SECONDS
        while (code := self._process.exitcode) is None and time.monotonic() < until:
            # another thread that starts a child collects all dead ones, and is about to say how this one ended
            time.sleep(0.001)
        if code is not None:
            self._process.close()
        if self._late:
            return f"not ready after {START_SECONDS:g} s; does the main module do its work at import?"
        return how_it_ended(code)

    def _kill_group(self) -> None:
        if self._ready and self._process.pid:  # it has a group of its own from before it is ready
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, *arguments)

    def _answered(self, answer: Answer | Step | str) -> None:
        if isinstance(answer, str):
            self._started.set()
        elif isinstance(answer, tuple):
            if self._answer is not None:
                self._on_progress(answer)
        elif self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def _ended(self, cause: str) -> None:
        self.alive = False
        self._started.set()
        self._gone.set()
        self._forget(self)
        if self._answer is not None and not self._answer.done():
            unready = RuntimeError(f"the child process did not start: {cause}; see its output above")
            self._answer.set_exception(ProcessCrashed(cause) if self._ready else unready)
