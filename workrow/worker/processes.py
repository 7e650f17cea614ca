"""Child processes for tasks with run_in="process": they can be killed, and may die, alone."""

import asyncio
import atexit
import contextlib
import itertools
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any
from weakref import WeakSet

import procrastinate
from procrastinate.exceptions import JobAborted
from procrastinate.jobs import Job

from workrow.errors import MemoryLimitExceeded, OptionError, ProcessCrashed, TimeLimitExceeded
from workrow.worker import child
from workrow.worker.child import ABORT, Answer, Call

logger = logging.getLogger(__name__)

MEMORY_SECONDS = 0.1
"""How often the memory of a child with a limit is looked at."""
MIB = 2**20

_spawn = multiprocessing.get_context("spawn")
_numbers = itertools.count(1)
_children: "WeakSet[_Child]" = WeakSet()


@atexit.register
def _end_all() -> None:
    # multiprocessing waits at exit for children that nobody has ended
    for each in list(_children):
        each.kill()


class RemoteError(Exception):
    """Stands for an exception of a child process that cannot be carried over: its type and its message."""


class Processes:
    """A pool of child processes, each with one job at a time; started as they are needed, replaced when they die.

    Args:
        size: children at most.
        max_jobs: so many jobs use a child up.
    """

    def __init__(self, size: int, *, max_jobs: int = 1000) -> None:
        self._free = asyncio.Semaphore(size)
        self._max_jobs = max_jobs
        self._idle: list[_Child] = []
        self._busy: dict[int, _Child] = {}
        self._closed = False

    async def run(
        self,
        job_id: int,
        task: procrastinate.tasks.Task[Any, Any, Any],
        job: Job,
        arguments: dict[str, Any],
        *,
        worker: tuple[str | None, list[str] | None] = (None, None),
        soft_time_limit: float | None = None,
        time_limit: float | None = None,
        max_memory: int | None = None,
    ) -> Any:
        """Run a task's function in a child. Cancelling this kills the child.

        Args:
            job_id: what `interrupt` and `kill` call it by.
            task: its function is found in the child by module and name.
            job: for the context.
            arguments: of the function, by name.
            worker: its name and queues, for the context.
            soft_time_limit: seconds after which SoftTimeLimitExceeded is raised inside.
            time_limit: seconds after which the child is killed.
            max_memory: MiB of resident memory at which it is killed.

        Raises:
            TimeLimitExceeded: it was killed at its time limit.
            MemoryLimitExceeded: it was killed at its memory limit.
            JobAborted: it was killed by `kill`.
            ProcessCrashed: it died by itself.
            Exception: what the function raised.
        """
        call = Call(
            task.func.__module__,
            task.func.__qualname__,
            find_app(task) if task.pass_context else None,
            job,
            worker,
            arguments,
            soft_time_limit,
        )
        async with self._free:
            used = self._take()
            self._busy[job_id] = used
            try:
                answer = await used.run(call, time_limit, max_memory)
            except BaseException:
                used.kill()
                raise
            finally:
                del self._busy[job_id]
                self._put_back(used, max_memory)
        return _opened(answer)

    def interrupt(self, job_id: int) -> None:
        """Ask the job to abort: its context's ``should_abort()`` becomes true."""
        if job_id in self._busy:
            self._busy[job_id].ask()

    def kill(self, job_id: int) -> None:
        """Kill the job's child."""
        if job_id in self._busy:
            self._busy[job_id].end(JobAborted("the job was terminated"))

    async def close(self) -> None:
        """End all children."""
        self._closed = True
        children = [*self._idle, *self._busy.values()]
        self._idle.clear()
        for each in children:
            each.kill()
        await asyncio.gather(*(each.gone() for each in children))

    def _take(self) -> "_Child":
        while self._idle:
            if (used := self._idle.pop()).lives():
                return used
        return _Child()

    def _put_back(self, used: "_Child", max_memory: int | None) -> None:
        swollen = max_memory is not None and used.memory() > max_memory * MIB / 2
        if used.alive and used.jobs < self._max_jobs and not swollen and not self._closed:
            self._idle.append(used)
        else:
            used.kill()


class _Child:
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
        try:
            self._process.start()
        except Exception as error:
            self._call(self._ended, f"could not be started: {error}")
            return
        finally:
            theirs.close()
        if not self.alive:
            self._process.kill()
        while True:
            ready = wait([self._connection, self._process.sentinel])
            if self._connection in ready:
                try:
                    answer = self._connection.recv()
                except (EOFError, OSError):
                    pass
                else:
                    self._call(self._answered, answer)
                    continue
            break
        self._process.join()
        code = self._process.exitcode or 0
        self._connection.close()
        self._process.close()
        self._call(self._ended, _cause(code))

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


def check_importable(task: procrastinate.tasks.Task[Any, Any, Any]) -> None:
    """Whether a child process can find the task's function, and the app if it wants the context.

    Raises:
        OptionError: it cannot.
    """
    function = task.func
    if "<" in function.__qualname__:
        raise OptionError(
            f"task {task.name}: run_in='process' finds the function by its name, and {function.__qualname__} is inside "
            "another function; define it at the top of a module"
        )
    if task.pass_context and find_app(task) is None:
        raise OptionError(
            f"task {task.name}: with run_in='process' its context needs the app, and the app is no attribute of an "
            "imported module; assign it at the top of one"
        )


def find_app(task: procrastinate.tasks.Task[Any, Any, Any]) -> str | None:
    """``module:attribute`` of the task's app, as far as it is one."""
    for name, module in sorted(sys.modules.items(), key=lambda item: item[0] == "__main__"):
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if value is task.blueprint:
                return f"{'__mp_main__' if name == '__main__' else name}:{attribute}"
    return None


def _opened(answer: Answer) -> Any:
    if answer.result is not None:
        return pickle.loads(answer.result)
    assert answer.told is not None
    name, message, told = answer.told
    error = pickle.loads(answer.error) if answer.error else RemoteError(f"{name}: {message}")
    error.add_note(f"In the child process:\n{told}")
    raise error


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
