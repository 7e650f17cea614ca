"""Child processes for tasks with run_in="process": they can be killed, and may die, alone."""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import procrastinate
from procrastinate.exceptions import JobAborted
from procrastinate.jobs import Job

from workrow.context import Step
from workrow.declare.execution import check_findable
from workrow.declare.found import found_as
from workrow.errors import OptionError
from workrow.worker.running.children.answer import Answer, opened
from workrow.worker.running.children.child import Call, resolve
from workrow.worker.running.children.spawned import MIB, Spawned

TERMINATED = "the job was terminated"
MAX_JOBS = 1000


@dataclass(frozen=True, slots=True)
class Returned:
    """What a task has returned.

    Attributes:
        value: itself, if it is wanted and could be handed over; else what its JSON says.
        text: its JSON text; None if it is not wanted, or cannot be kept.
        unkept: why it cannot.
        flow: what ``replace_job.sql`` writes of the workflow that it is.
    """

    value: Any
    text: str | None
    unkept: str | None
    flow: dict[str, Any] | None


@dataclass(slots=True)
class _Running:
    """A job: its child, once there is one for it, and what has been asked of it until then."""

    child: Spawned | None = None
    asked: bool = False
    killed: bool = False


class Processes:
    """A pool of child processes, each with one job at a time; started as they are needed, replaced when they die.

    Args:
        size: children at most.
        max_jobs: so many jobs use a child up; None: a thousand.
        max_memory: MiB of resident memory, after a job, that use it up as well.
    """

    def __init__(self, size: int, max_jobs: int | None = None, max_memory: int | None = None) -> None:
        self._size = self._most = size
        self._free = asyncio.Semaphore(size)
        self._max_jobs = max_jobs or MAX_JOBS
        self._max_memory = max_memory
        self._idle: list[Spawned] = []
        self._all: set[Spawned] = set()
        self._running: dict[int, _Running] = {}
        self._apps: dict[str, str | None] = {}
        self._closed = False

    async def run(
        self,
        job_id: int,
        task: procrastinate.tasks.Task[Any, Any, Any],
        job: Job | None,
        arguments: dict[str, Any],
        *,
        on_progress: Callable[[Step], None] = lambda _: None,
        worker: tuple[str | None, list[str] | None] = (None, None),
        soft_time_limit: float | None = None,
        time_limit: float | None = None,
        max_memory: int | None = None,
        limit: int | None = None,
        whole: bool = True,
        batch: int | None = None,
    ) -> Returned:
        """Run a task's function in a child. Cancelling this kills the child.

        Args:
            job_id: what `interrupt` and `kill` call it by.
            task: its function is found in the child by module and name.
            job: for the context, if the task takes one.
            arguments: of the function, by name.
            on_progress: called with what the task says of its progress.
            worker: its name and queues, for the context.
            soft_time_limit: seconds after which SoftTimeLimitExceeded is raised inside.
            time_limit: seconds after which the child is killed.
            max_memory: MiB of resident memory at which it is killed.
            limit: bytes that the JSON of what it returns may take; None: no JSON is wanted.
            whole: the value itself is wanted.
            batch: the id of the batch that the job is a member of.

        Raises:
            TimeLimitExceeded: it was killed at its time limit.
            MemoryLimitExceeded: it was killed at its memory limit.
            JobAborted: it was killed by `kill`.
            ProcessCrashed: it died by itself.
            RuntimeError: the pool is closed, or the child did not start.
            Exception: what the function raised.
        """
        call = Call(
            task.func.__module__,
            task.func.__qualname__,
            job_id,
            f"{task.name}[{job_id}]",
            self._app(task),
            task.pass_context,
            job,
            worker,
            arguments,
            soft_time_limit,
            limit,
            whole,
            batch,
            getattr(task.blueprint, "around_child", None),
        )
        running = self._running[job_id] = _Running()
        try:
            async with self._free:
                answer = await self._run(running, call, on_progress, time_limit, max_memory)
        finally:
            # a job that this worker has lost and claimed again may be here twice
            if self._running.get(job_id) is running:
                del self._running[job_id]
        return Returned(opened(answer), answer.text, answer.unkept, answer.flow)

    async def _run(
        self,
        running: _Running,
        call: Call,
        on_progress: Callable[[Step], None],
        time_limit: float | None,
        max_memory: int | None,
    ) -> Answer:
        if self._closed:
            raise RuntimeError("the pool of processes is closed")
        if running.killed:
            raise JobAborted(TERMINATED)
        used = running.child = self._take(max_memory)
        try:
            return await used.run(call, time_limit, max_memory, on_progress, asked=running.asked)
        except BaseException:
            used.kill()
            raise
        finally:
            self._put_back(used, max_memory)

    def interrupt(self, job_id: int) -> None:
        """Ask the job to abort: its context's ``should_abort()`` becomes true."""
        if running := self._running.get(job_id):
            running.asked = True
            if running.child:
                running.child.ask()

    def kill(self, job_id: int) -> None:
        """Kill the job's child."""
        if running := self._running.get(job_id):
            running.killed = True
            if running.child:
                running.child.end(JobAborted(TERMINATED))

    def resize(self, size: int) -> None:
        """Allow so many children; of more than these the idle ones end now, the others after their jobs."""
        for _ in range(size - self._size):
            self._free.release()
        # the semaphore keeps what it has: the worker's slots allow no more jobs than children
        self._most, self._size = size, max(self._size, size)
        while self._idle and self._too_many():
            self._idle.pop().kill()

    def pid(self, job_id: int) -> int | None:
        """Of the child that runs the job; None: none does yet."""
        running = self._running.get(job_id)
        return running.child.pid if running and running.child else None

    def pids(self) -> list[int]:
        """Of all children."""
        return sorted(pid for child in self._all if child.alive and (pid := child.pid) is not None)

    async def close(self) -> None:
        """End all children."""
        self._closed = True
        self._idle.clear()
        children = list(self._all)
        for each in children:
            each.end(JobAborted("the pool of processes was closed"))
        await asyncio.gather(*(each.gone() for each in children))

    def _too_many(self) -> bool:
        return sum(child.alive for child in self._all) > self._most

    def _app(self, task: procrastinate.tasks.Task[Any, Any, Any]) -> str | None:
        if task.name not in self._apps:
            self._apps[task.name] = find_app(task)
        return self._apps[task.name]

    def _take(self, max_memory: int | None) -> "Spawned":
        while self._idle:
            used = self._idle.pop()
            if used.lives() and not _swollen(used, max_memory):
                return used
            used.kill()
        used = Spawned(self._all.discard)
        self._all.add(used)
        return used

    def _put_back(self, used: "Spawned", max_memory: int | None) -> None:
        fit = used.alive and used.jobs < self._max_jobs and not self._too_many()
        fit = fit and not _swollen(used, max_memory)
        fit = fit and (self._max_memory is None or used.memory() <= self._max_memory * MIB)
        if fit and not self._closed:
            self._idle.append(used)
        else:
            used.kill()


def _swollen(used: Spawned, max_memory: int | None) -> bool:
    """Whether what earlier jobs left in it takes too much of a job's max_memory (MiB)."""
    return max_memory is not None and used.memory() > max_memory * MIB / 2


def check_importable(task: procrastinate.tasks.Task[Any, Any, Any]) -> None:
    """Whether a child process can find the task's function, and the app if it wants the context.

    Raises:
        OptionError: it cannot.
    """
    try:
        check_findable(task.func)
    except OptionError as error:
        raise OptionError(f"task {task.name}: {error}") from None
    module, name = task.func.__module__, task.func.__qualname__
    try:
        found = resolve(module, name)
    except (ImportError, AttributeError):
        found = None
    if found is None or inspect.unwrap(found) is not inspect.unwrap(task.func):
        raise OptionError(
            f"task {task.name}: run_in='process' finds the function by its name, and {module}.{name} is "
            f"{'not there' if found is None else 'something else'}; give it a name of its own at the top of a module"
        )
    if task.pass_context and find_app(task) is None:
        raise OptionError(
            f"task {task.name}: with run_in='process' its context needs the app, and the app is no attribute of an "
            "imported module; assign it at the top of one"
        )


def find_app(task: procrastinate.tasks.Task[Any, Any, Any]) -> str | None:
    """``module:attribute`` of the task's app, as far as it is one."""
    where = found_as(task.blueprint)
    return f"__mp_main__:{where[9:]}" if where and where.startswith("__main__:") else where
