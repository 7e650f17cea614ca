"""Declaring tasks: the ``task`` decorator, on a blueprint or an app."""

from collections.abc import Callable, Coroutine, Sequence
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeAlias, Unpack, cast, overload

import procrastinate
import psycopg
from procrastinate.exceptions import TaskAlreadyRegistered
from typing_extensions import TypeVar

from workrow.arguments.payload import Payload
from workrow.context import JobContext, SyncJobContext
from workrow.declare.batch import Batch
from workrow.declare.declaration import (
    AllTaskOptions,
    TaskDefaults,
    TaskOptions,
    check_known,
    chosen,
    read_execution,
    read_middleware,
    read_retry,
    read_schedules,
    warn_of_tight_loop,
)
from workrow.declare.failure import Hook
from workrow.declare.hooks import Hooked
from workrow.declare.options import RULES, Options, check_aliases, check_task_name
from workrow.declare.periodic import Registry
from workrow.declare.signatures import check_function, name_of, takes_context, warn_of_script
from workrow.enqueue.failure_hook import row_of
from workrow.errors import OptionError, brief
from workrow.tasks import Task

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
B = TypeVar("B")
C = TypeVar("C")


class TaskNameTaken(OptionError, TaskAlreadyRegistered):
    """Two tasks, or a task and an alias, have the same name."""


if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

Tx = TypeVar("Tx", bound="AsyncSession | Session | psycopg.AsyncConnection[Any] | psycopg.Connection[Any]")
"""What a transactional task takes first."""


class Decorator(Protocol):
    """Turns a function into a task. The types of its arguments and of its (awaited) result are kept."""

    @overload
    def __call__(self, func: Callable[Concatenate[Tx, JobContext, P], Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[Tx, SyncJobContext, P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[Tx, P], Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[Tx, P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[JobContext, P], Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[SyncJobContext, P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> Task[P, R]: ...


Nothing: TypeAlias = Coroutine[Any, Any, None] | None
Answers: TypeAlias = Coroutine[Any, Any, Sequence[R | BaseException]] | Sequence[R | BaseException]


class BatchDecorator(Protocol[P, T]):
    """Turns a function that takes a list of ``T`` into a task; its jobs have the arguments that ``T`` is made of."""

    @overload
    def __call__(self, func: Callable[[list[T]], Nothing], /) -> Task[P, None]: ...
    @overload
    def __call__(self, func: Callable[[list[T]], Answers[R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[[B, list[T]], Nothing], /) -> Task[P, None]: ...
    @overload
    def __call__(self, func: Callable[[B, list[T]], Answers[R]], /) -> Task[P, R]: ...


class TupleDecorator(Protocol):
    """The same of tuples. Of more than three, and of what `Batch` does not name, the types are not told."""

    @overload
    def __call__(self, func: Callable[[list[tuple[T]]], Nothing], /) -> Task[[T], None]: ...
    @overload
    def __call__(self, func: Callable[[list[tuple[T]]], Answers[R]], /) -> Task[[T], R]: ...
    @overload
    def __call__(self, func: Callable[[list[tuple[T, B]]], Nothing], /) -> Task[[T, B], None]: ...
    @overload
    def __call__(self, func: Callable[[list[tuple[T, B]]], Answers[R]], /) -> Task[[T, B], R]: ...
    @overload
    def __call__(self, func: Callable[[list[tuple[T, B, C]]], Nothing], /) -> Task[[T, B, C], None]: ...
    @overload
    def __call__(self, func: Callable[[list[tuple[T, B, C]]], Answers[R]], /) -> Task[[T, B, C], R]: ...
    @overload
    def __call__(self, func: Callable[..., Nothing], /) -> Task[..., None]: ...
    @overload
    def __call__(self, func: Callable[..., Answers[R]], /) -> Task[..., R]: ...


class Tasks(Hooked, procrastinate.Blueprint):
    """The ``task`` decorator, shared by `Blueprint` and ``workrow.App``."""

    _name: str | None = None
    _defaults: TaskDefaults = TaskDefaults()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.periodic_registry = Registry()  # type: ignore[no-untyped-call]

    # more options than procrastinate's, hence the override
    @overload  # type: ignore[override]
    def task(self, *, batch: Batch[..., None], **options: Unpack[TaskOptions]) -> TupleDecorator: ...
    @overload
    def task(self, *, batch: Batch[P, T], **options: Unpack[TaskOptions]) -> BatchDecorator[P, T]: ...
    @overload
    def task(self, **options: Unpack[TaskOptions]) -> Decorator: ...
    @overload
    def task(self, func: Callable[Concatenate[JobContext, P], Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def task(self, func: Callable[Concatenate[SyncJobContext, P], R], /) -> Task[P, R]: ...
    @overload
    def task(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def task(self, func: Callable[P, R], /) -> Task[P, R]: ...
    def task(self, func: Callable[..., Any] | None = None, /, **options: Any) -> Any:  # type: ignore[misc]
        """Declare a function as a task: ``@blueprint.task`` or ``@blueprint.task(queue="slow", …)``.

        A first parameter annotated ``JobContext`` receives the job's context and is no argument of the job. With
        ``transactional`` the first one receives the transaction, and the second may be the context.

        Args:
            name: the permanent name; by default the blueprint's name and the function's, ``"emails.send_welcome"``.
            aliases: former names that queued jobs may still carry.
            queue: the queue's name.
            priority: a higher one runs first.
            lock: see `workrow.declare.options.Options`.
            queueing_lock: see `workrow.declare.options.Options`.
            retry: a `Retry`; a `Rule` or a tuple of them, and what fits none is not retried; or what procrastinate
                takes: a RetryStrategy, a number of retries, True for no end.
            retry_on: retry these exceptions only.
            discard_on: end the job at once on these, as failed and discarded, with the reason kept.
            cron: enqueue the task at these times; five fields, or six with seconds first.
            every: enqueue the task once in each such interval.
            timezone: the zone that ``cron`` is read in, UTC by default.
            schedule: instead of these three, a `Schedule`, or several of different names: with arguments, and with what
                becomes of due times that were missed, or that come while the former job still runs.
            pass_context: pass the context as first argument whatever its annotation says.
            task_middleware: procrastinate's middleware around this task.
            transactional: the worker opens a transaction and gives it to the task as its first argument: an SQLAlchemy
                ``AsyncSession`` or ``Session``, a psycopg ``AsyncConnection`` or ``Connection``, as its annotation
                says. What the task writes, the jobs it enqueues there, its result and the job's end commit together or
                not at all.
            run_in: "process" runs the task in a child process, which can be killed.
            soft_time_limit: seconds, or a timedelta, after which `SoftTimeLimitExceeded` is raised inside the task.
            time_limit: the same, after which the task is ended: a coroutine is cancelled, a process is killed; in a
                thread an exception is raised, and its slot is free when the thread ends.
            unique: see `workrow.declare.options.Options`; so are the next three.
            debounce: the last call of a burst only.
            throttle: so many jobs in a window only.
            expires: never start later than this.
            max_memory: MiB of resident memory at which the task's process is killed; needs ``run_in="process"``.
            limits: a `Limit`, a `Rate`, or several that must all hold, over all workers.
            results: False keeps no result: ``job.result()`` raises `NoResult` when the job has succeeded.
            max_result: bytes of JSON that a job's result may take, by default what ``App(max_result=…)`` says; a larger
                one is not kept, and the job has succeeded.
            max_payload: bytes of JSON that a job's arguments may take; by default what ``App(max_payload=…)`` says.
            on_failure: a task that takes a `Failure`, its name, or a function that becomes one: it is enqueued when a
                job of this task has ended badly, in the transaction that ends it. None: nobody is told, whatever the
                app says.
            version: of the signature; raise it by one when arguments of queued jobs do not fit any more. Workers that
                know only older versions leave such jobs to those that know this one.
            upcast: ``upcast(version, args)`` returns the stored arguments of an older version as those of this one.
            batch: a `Batch`: the function gets a list of jobs at once, and may answer for each.
            hide: the names of arguments that are stored as they are and shown as ``***``; "return" for what the task
                returns. Those that are annotated ``SecretStr`` or ``Annotated[…, Secret]`` are hidden without it.

        Raises:
            OptionError: an option is unknown or cannot work.
            TaskNameTaken: the name, or an alias, is in use.
        """
        check_known(options, AllTaskOptions)
        defaults = self._defaults
        if options.keys() & set(RULES):  # a rule of its own replaces the shared one
            defaults = cast("TaskDefaults", {name: value for name, value in defaults.items() if name not in RULES})
        decorate = self._decorator({**defaults, **cast("AllTaskOptions", options)})
        return decorate if func is None else decorate(func)

    def _decorator(self, options: AllTaskOptions) -> Callable[[Callable[..., Any]], Task[Any, Any]]:
        def decorate(func: Callable[..., Any]) -> Task[Any, Any]:
            own = getattr(func, "__name__", None)
            name = options.get("name") or (f"{self._name}.{own}" if self._name and own else None)
            plain = {key: value for key, value in options.items() if key in Options.__dataclass_fields__}
            try:
                check_function(func)
                check_aliases(options.get("aliases"))
                execution = read_execution(func, options)
                injected = 1 if execution.transaction else 0
                task: Task[Any, Any] = Task(
                    func,
                    blueprint=self,
                    name=name,
                    aliases=options.get("aliases"),
                    options=Options().changed(plain),
                    schedules=read_schedules(options),
                    retry=read_retry(options),
                    pass_context=options.get("pass_context", False) or takes_context(func, injected),
                    execution=execution,
                    limits=options.get("limits", ()),
                    payload=Payload(**chosen(options, Payload)),
                    on_failure=self._hook_of(options["on_failure"]) if "on_failure" in options else ...,
                    task_middleware=read_middleware(func, options),
                    hide=options.get("hide", ()),
                )
                check_task_name(task.name)
                warn_of_tight_loop(task.name, options.get("retry"))
            except OptionError as error:
                prefix = "" if str(error).startswith("task ") else f"task {name or name_of(func)}: "
                raise OptionError(f"{prefix}{error}") from None
            warn_of_script(task.name, func)
            self._register_task(task)
            return cast("Task[Any, Any]", update_wrapper(task, func, updated=()))

        return decorate

    def _hook_of(self, given: Hook) -> Task[..., Any] | str | None:
        """The task that is called on failure; a function becomes one here.

        Raises:
            OptionError: it cannot be called.
        """
        if given is None or isinstance(given, str):
            if given is not None:
                check_task_name(given)
            return given
        if not callable(given):
            raise OptionError(
                f"on_failure={brief(given)}: must be a task, a function that takes a workrow.Failure, or a name"
            )
        if not isinstance(given, Task):
            known = (task for task in self.tasks.values() if isinstance(task, Task) and task.func is given)
            given = next(known, None) or self.task(on_failure=None)(given)
        row_of(given, given.declared)  # raises what is wrong with it
        return given

    def _add_task(self, task: Any, name: str, to: dict[str, Any] | None = None) -> None:
        taken = {**self.tasks, **(to or {})}.get(name)
        if taken is not None:
            raise TaskNameTaken(
                f"the task name {name!r} is used twice, by {taken.func.__module__}.{taken.func.__qualname__} and "
                f"{task.func.__module__}.{task.func.__qualname__}; give one of them name=…"
            )
        self.check_limits(task)
        super()._add_task(task, name, to)

    def check_limits(self, task: Any) -> None:
        """Raise OptionError if another task here declares a limit of the same name, and not the same."""
        others = {id(each): each for each in self.tasks.values() if isinstance(each, Task) and each is not task}
        for rule in getattr(getattr(task, "line", None), "rules", ()):
            for other in others.values():
                if any(each.name == rule.name and each != rule for each in (other.line.rules if other.line else ())):
                    raise OptionError(
                        f"task {task.name}: the limit {rule.name!r} is {rule.shown} here, and another one in task "
                        f"{other.name}; limits of one name count together: declare the same, or give one another name=…"
                    )


class Blueprint(Tasks):
    """Tasks of one domain, to be registered on an app by ``app.include(blueprint)``.

    Args:
        name: the first part of its tasks' names.
        **defaults: options of `Tasks.task` that its tasks start from.

    Raises:
        OptionError: an option is unknown.
    """

    def __init__(self, name: str | None = None, **defaults: Unpack[TaskDefaults]) -> None:
        if name is not None:
            check_task_name(name)
        check_known(defaults, TaskDefaults)
        super().__init__()
        self._name = name
        self._defaults = defaults
