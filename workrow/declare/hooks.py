"""Code of the application's around every enqueue and around every run.

A hook is a generator function with one ``yield``: what stands before it runs before, what stands after it runs after,
and what fails is raised at the ``yield``.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, Unpack

from procrastinate import jobs as upstream_jobs
from procrastinate.middleware import WorkerMiddleware

from workrow.context import JobContext
from workrow.declare.loud import Loud
from workrow.declare.options import EnqueueOptions, Options
from workrow.errors import OptionError


@dataclass(slots=True)
class Enqueue:
    """What is about to be enqueued. A hook may change it.

    Attributes:
        task: the task's name.
        options: queue, priority, lock and so on, of all these jobs; `change` replaces them.
        arguments: one dict for each job, by name; a hook may change them, and the task's signature is checked again.
        on: the transaction, as ``enqueue()`` was given it; None for one of its own.
        ids: of the jobs; empty before the ``yield``.
    """

    task: str
    options: Options
    arguments: list[dict[str, Any]]
    on: Any = None
    ids: list[int] = field(default_factory=list)

    def change(self, **options: Unpack[EnqueueOptions]) -> None:
        """Change options of these jobs, as ``task.options(…)`` does.

        Raises:
            OptionError: an option is unknown or out of range.
        """
        self.options = self.options.changed(options)


EnqueueHook = Callable[[Enqueue], Iterator[None]]
RunHook = Callable[[JobContext], AsyncIterator[None]] | Callable[[JobContext], Iterator[None]]
E = TypeVar("E", bound=Callable[..., Any])
H = TypeVar("H", bound=RunHook)


class Hooks:
    """The hooks of one app or blueprint, the first one outermost.

    Attributes:
        runner: makes what runs the jobs of a task instead of the worker's own ways, of the task and the places where
            jobs can be run; where it gives None, and where it is None, those run them. For windows of the engine that
            have a way of their own with all of their jobs.
    """

    def __init__(self) -> None:
        self.runner: Callable[[Any, Any], Any] | None = None
        self.enqueue: list[Callable[[Enqueue], Any]] = []
        self.run: list[WorkerMiddleware] = []


class Hooked:
    """``around_enqueue`` and ``around_run``: of an app for all of its tasks, of a blueprint for its own."""

    @cached_property
    def hooks(self) -> Hooks:
        """What has been declared so far."""
        return Hooks()

    def around_enqueue(self, hook: E) -> E:
        """Declare a hook around ``enqueue``, ``enqueue_many``, ``delay``, ``apply_async`` and ``defer``.

        ``enqueue_copy`` and the due times of schedules run none. The hook is called in the caller's thread and must not
        block: it is no coroutine, because one shape has to do for both sync and async calls.

        Args:
            hook: a generator function with one ``yield``, given an `Enqueue`.

        Raises:
            OptionError: it is none.
        """
        if not inspect.isgeneratorfunction(hook):
            raise OptionError(f"around_enqueue({hook!r}): must be a generator function, with one `yield`")
        self.hooks.enqueue.append(contextmanager(hook))
        return hook

    def around_run(self, hook: H) -> H:
        """Declare a hook around every attempt, on the worker's event loop, whatever the task runs in.

        A transaction of the task begins and ends inside. The worker asks for hooks when it runs a task for the first
        time.

        Args:
            hook: an async generator function with one ``yield``, or one that is not async, given the `JobContext`.

        Raises:
            OptionError: it is none.
        """
        if inspect.isasyncgenfunction(hook):
            self.hooks.run.append(_async_middleware(asynccontextmanager(hook)))
        elif inspect.isgeneratorfunction(hook):
            self.hooks.run.append(_middleware(contextmanager(hook)))
        else:
            raise OptionError(f"around_run({hook!r}): must be an async generator function, with one `yield`")
        return hook


def entered(hooks: Sequence[Callable[[Enqueue], Any]], enqueue: Enqueue) -> ExitStack:
    """The hooks, begun, around a block; it ends them."""
    with Loud(ExitStack()) as stack:
        for hook in hooks:
            stack.enter_context(Loud(hook(enqueue)))
        begun: ExitStack = stack.pop_all()
        return begun


def _async_middleware(hook: Callable[[JobContext], Any]) -> WorkerMiddleware:
    async def around(call_next: Callable[[], Awaitable[Any]], context: Any, worker: Any) -> Any:
        async with Loud(hook(context)):
            return await call_next()

    return around


def _middleware(hook: Callable[[JobContext], Any]) -> WorkerMiddleware:
    async def around(call_next: Callable[[], Awaitable[Any]], context: Any, worker: Any) -> Any:
        with Loud(hook(context)):
            return await call_next()

    return around


class HookedDeferrer(upstream_jobs.JobDeferrer):
    """procrastinate's deferrer, inside of the hooks.

    Args:
        deferrer: what ``configure()`` made.
        hooks: of the task.
        checked: makes a deferrer check its jobs' arguments.
    """

    def __init__(
        self,
        deferrer: upstream_jobs.JobDeferrer,
        hooks: Sequence[Callable[[Enqueue], Any]],
        checked: Callable[[upstream_jobs.JobDeferrer], upstream_jobs.JobDeferrer],
    ) -> None:
        super().__init__(deferrer.job_manager, deferrer.job, deferrer.connection)
        self._hooks = hooks
        self._checked = checked

    async def defer_async(self, **task_kwargs: Any) -> int:
        """See procrastinate."""
        return (await self.batch_defer_async(task_kwargs))[0]

    def defer(self, **task_kwargs: Any) -> int:
        """See procrastinate."""
        return self.batch_defer(task_kwargs)[0]

    async def batch_defer_async(self, *task_kwargs: dict[str, Any]) -> list[int]:
        """See procrastinate."""
        enqueue = self._enqueue(task_kwargs)
        with entered(self._hooks, enqueue):
            enqueue.ids = await self._changed(enqueue).batch_defer_async(*enqueue.arguments)
        return enqueue.ids

    def batch_defer(self, *task_kwargs: dict[str, Any]) -> list[int]:
        """See procrastinate."""
        enqueue = self._enqueue(task_kwargs)
        with entered(self._hooks, enqueue):
            enqueue.ids = self._changed(enqueue).batch_defer(*enqueue.arguments)
        return enqueue.ids

    def _enqueue(self, task_kwargs: Sequence[dict[str, Any]]) -> Enqueue:
        job = self.job
        options = Options(
            queue=job.queue,
            priority=job.priority,
            lock=job.lock,
            queueing_lock=job.queueing_lock,
            at=job.scheduled_at,
        )
        checked = self._checked(upstream_jobs.JobDeferrer(self.job_manager, job))
        arguments = [dict(checked.make_new_job(**each).task_kwargs) for each in task_kwargs]
        return Enqueue(job.task_name, options, arguments, self.connection)

    def _changed(self, enqueue: Enqueue) -> upstream_jobs.JobDeferrer:
        options = enqueue.options
        job = self.job.evolve(
            queue=options.queue,
            priority=options.priority,
            lock=options.lock,
            queueing_lock=options.queueing_lock,
            scheduled_at=options.scheduled_at,
            task_kwargs={},
        )
        return self._checked(upstream_jobs.JobDeferrer(self.job_manager, job, self.connection))
