"""One child process, as its parent sees it."""

import asyncio
import atexit
import contextlib
import itertools
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any
from weakref import WeakSet

from workrow.errors import MemoryLimitExceeded, ProcessCrashed, TimeLimitExceeded
from workrow.worker import child
from workrow.worker.child import ABORT, Answer, Call

MEMORY_SECONDS = 0.1
"""How often the memory of a child with a limit is looked at."""
MIB = 2**20

_spawn = multiprocessing.get_context("spawn")
_starting = threading.Semaphore(os.cpu_count() or 1)
"""An interpreter that starts is a second of CPU: a pool of them at once would starve what runs."""
_numbers = itertools.count(1)
_children: "WeakSet[Spawned]" = WeakSet()


@atexit.register
def _end_all() -> None:
    # multiprocessing waits at exit for children that nobody has ended
    for each in list(_children):
        each.kill()


class Spawned:
    """One process, and the thread that waits for its answers and for its end."""

    def __init__(self) -> None:
        self.jobs = 0
        self.alive = True
        self._ready = False
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Answer] | None = None
        self._gone = asyncio.Event()
        self._connection, theirs = _spawn.Pipe()
        self._process: SpawnProcess = _spawn.Process(
            target=child.main,
            args=(theirs, os.getpid(), logging.getLogger().getEffectiveLevel()),
            name=f"workrow-child-{next(_numbers)}",
        )
        _children.add(self)
        # starting takes some hundredths of a second, in which the loop must go on
        self._thread = threading.Thread(target=self._live, args=(theirs,), name=self._process.name, daemon=True)
        self._started = asyncio.Event()
        self._thread.start()

    async def run(self, call: Call, time_limit: float | None, max_memory: int | None) -> Answer:
        """Send the call and await the answer."""
        self.jobs += 1
        self._answer = self._loop.create_future()
        await self._started.wait()
        watching: asyncio.Task[None] | None = None
        if self.alive:
            with contextlib.suppress(OSError):  # its end is told by the thread
                self._connection.send(call)
        if max_memory is not None:
            watching = asyncio.create_task(self._watch_memory(max_memory))
        timer = None
        if time_limit is not None:
            error = TimeLimitExceeded(f"the task ran into its time_limit of {time_limit:g} s")
            timer = self._loop.call_later(time_limit, self.end, error)
        try:
            return await self._answer
        finally:
            if timer:
                timer.cancel()
            if watching:
                watching.cancel()
            self._answer = None

    def ask(self) -> None:
        """Send the request to abort."""
        with contextlib.suppress(OSError):
            self._connection.send(ABORT)

    def end(self, error: Exception) -> None:
        """Kill it, and let who awaits the answer hear why."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.kill()

    def kill(self) -> None:
        """Kill it."""
        self.alive = False
        with contextlib.suppress(ValueError, AttributeError):  # closed already; not started yet
            self._process.kill()

    def lives(self) -> bool:
        """Whether it has not died while it was idle."""
        try:
            return self.alive and not wait([self._process.sentinel], timeout=0)
        except ValueError:  # closed
            return False

    async def gone(self) -> None:
        """Wait until it is no more."""
        await self._gone.wait()

    def memory(self) -> int:
        """Its resident memory in bytes; 0 if there is none to be seen."""
        return _resident(self._process.pid) if self.alive and self._process.pid else 0

    async def _watch_memory(self, max_memory: int) -> None:
        while True:
            used = self.memory() if sys.platform == "linux" else await asyncio.to_thread(self.memory)
            if used > max_memory * MIB:
                self.end(MemoryLimitExceeded(f"the task used {used // MIB} MiB, its max_memory is {max_memory}"))
                return
            await asyncio.sleep(MEMORY_SECONDS)

    def _live(self, theirs: Connection) -> None:
        """In the thread."""
        with _starting:
            try:
                self._process.start()
            except Exception as error:
                self._call(self._ended, f"could not be started: {error}")
                return
            finally:
                theirs.close()
            if not self.alive:
                self._process.kill()
            lives = self._receive()
        while lives:
            lives = self._receive()
        self._process.join()
        while (code := self._process.exitcode) is None:
            # another thread that starts a child collects all dead ones, and is about to say how this one ended
            time.sleep(0.001)
        self._connection.close()
        self._process.close()
        self._call(self._ended, _cause(code))

    def _receive(self) -> bool:
        """Wait for an answer, and pass it on; False if there is none to come."""
        if self._connection not in wait([self._connection, self._process.sentinel]):
            return False
        try:
            self._call(self._answered, self._connection.recv())
        except (EOFError, OSError):
            return False
        return True

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, *arguments)

    def _answered(self, answer: Answer | str) -> None:
        if isinstance(answer, str):
            self._ready = True
            self._started.set()
        elif self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def _ended(self, cause: str) -> None:
        self.alive = False
        self._started.set()
        self._gone.set()
        if self._answer is not None and not self._answer.done():
            unready = RuntimeError(f"the child process did not start: {cause}; see its output above")
            self._answer.set_exception(ProcessCrashed(cause) if self._ready else unready)


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"killed by {name}" + (", perhaps for want of memory" if -code == signal.SIGKILL else "")


def _resident(pid: int) -> int:
    if sys.platform == "linux":
        try:
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return 0
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return int(told.strip() or 0) * 1024
