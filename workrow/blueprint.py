"""Declaring tasks: the ``task`` decorator, on a blueprint or an app."""

import difflib
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from functools import update_wrapper
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypedDict, Unpack, cast, overload

import procrastinate
import psycopg
from procrastinate import middleware as upstream_middleware
from procrastinate.exceptions import TaskAlreadyRegistered
from procrastinate.retry import RetryValue
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from typing_extensions import TypeVar

from workrow.arguments import Payload, Upcast
from workrow.context import JobContext
from workrow.errors import OptionError
from workrow.execution import Execution, check_findable
from workrow.hooks import Hooked
from workrow.limits import Limits
from workrow.options import RULES, Options, check_aliases, check_task_name
from workrow.retry import Exceptions, Retry, Rule
from workrow.schedule import Schedule
from workrow.signatures import check_function, name_of, takes_context, transaction_kind
from workrow.tasks import Task
from workrow.uniqueness import Debounce, Throttle, Unique

P = ParamSpec("P")
R = TypeVar("R")


class TaskNameTaken(OptionError, TaskAlreadyRegistered):
    """Two tasks, or a task and an alias, have the same name."""


class TaskDefaults(TypedDict, total=False):
    """What all tasks of a blueprint may share; see `Tasks.task`."""

    queue: str
    priority: int
    lock: str | None
    queueing_lock: str | None
    retry: Retry | Rule | tuple[Rule, ...] | RetryValue
    retry_on: Exceptions
    discard_on: Exceptions
    pass_context: bool
    task_middleware: list[upstream_middleware.TaskMiddleware] | None
    transactional: bool
    run_in: Literal["process"] | None
    soft_time_limit: float | timedelta | None
    time_limit: float | timedelta | None
    max_memory: int | None
    limits: Limits
    results: bool
    unique: Unique | tuple[str, ...] | None
    debounce: Debounce | float | timedelta | None
    throttle: Throttle | None
    expires: float | timedelta | datetime | None
    max_payload: int | None


class TaskOptions(TaskDefaults, total=False):
    """The keyword arguments of ``@blueprint.task(…)``; see `Tasks.task`."""

    name: str | None
    aliases: list[str] | None
    cron: str
    every: timedelta
    timezone: str
    schedule: Schedule | list[Schedule] | tuple[Schedule, ...]
    version: int
    upcast: Upcast | None


Transaction = AsyncSession | Session | psycopg.AsyncConnection[Any] | psycopg.Connection[Any]
"""What a transactional task takes first."""
Tx = TypeVar("Tx", bound=Transaction)


class Decorator(Protocol):
    """Turns a function into a task. The types of its arguments and of its (awaited) result are kept."""

    @overload
    def __call__(self, func: Callable[Concatenate[Tx, JobContext, P], Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[Tx, JobContext, P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[Tx, P], Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[Tx, P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[JobContext, P], Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[Concatenate[JobContext, P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> Task[P, R]: ...


class Tasks(Hooked, procrastinate.Blueprint):
    """The ``task`` decorator, shared by `Blueprint` and ``workrow.App``."""

    _name: str | None = None
    _defaults: TaskDefaults = TaskDefaults()

    # more options than procrastinate's, hence the override
    @overload  # type: ignore[override]
    def task(self, **options: Unpack[TaskOptions]) -> Decorator: ...
    @overload
    def task(self, func: Callable[Concatenate[JobContext, P], Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def task(self, func: Callable[Concatenate[JobContext, P], R], /) -> Task[P, R]: ...
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
            lock: see `workrow.options.Options`.
            queueing_lock: see `workrow.options.Options`.
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
            unique: see `workrow.options.Options`; so are the next three.
            debounce: the last call of a burst only.
            throttle: so many jobs in a window only.
            expires: never start later than this.
            max_memory: MiB of resident memory at which the task's process is killed; needs ``run_in="process"``.
            limits: a `Limit`, a `Rate`, or several that must all hold, over all workers.
            results: False keeps no result: ``job.result()`` raises `NoResult` when the job has succeeded.
            max_payload: bytes of JSON that a job's arguments may take; by default what ``App(max_payload=…)`` says.
            version: of the signature; raise it by one when arguments of queued jobs do not fit any more. Workers that
                know only older versions leave such jobs to those that know this one.
            upcast: ``upcast(version, args)`` returns the stored arguments of an older version as those of this one.

        Raises:
            OptionError: an option is unknown or cannot work.
            TaskNameTaken: the name, or an alias, is in use.
        """
        _check_known(options, TaskOptions)
        defaults = self._defaults
        if options.keys() & set(RULES):  # a rule of its own replaces the shared one
            defaults = cast("TaskDefaults", {name: value for name, value in defaults.items() if name not in RULES})
        decorate = self._decorator({**defaults, **cast("TaskOptions", options)})
        return decorate if func is None else decorate(func)

    def _decorator(self, options: TaskOptions) -> Callable[[Callable[..., Any]], Task[Any, Any]]:
        def decorate(func: Callable[..., Any]) -> Task[Any, Any]:
            name = options.get("name") or (f"{self._name}.{func.__name__}" if self._name else None)
            plain = {key: value for key, value in options.items() if key in Options.__dataclass_fields__}
            try:
                check_function(func)
                check_aliases(options.get("aliases"))
                execution = _execution(func, options)
                injected = 1 if execution.transaction else 0
                task: Task[Any, Any] = Task(
                    func,
                    blueprint=self,
                    name=name,
                    aliases=options.get("aliases"),
                    options=Options().changed(plain),
                    schedules=_schedules(options),
                    retry=_retry(options),
                    pass_context=options.get("pass_context", False) or takes_context(func, injected),
                    execution=execution,
                    limits=options.get("limits", ()),
                    payload=Payload(**_chosen(options, Payload)),
                    task_middleware=options.get("task_middleware"),
                )
                check_task_name(task.name)
            except OptionError as error:
                prefix = "" if str(error).startswith("task ") else f"task {name or name_of(func)}: "
                raise OptionError(f"{prefix}{error}") from None
            self._register_task(task)
            return cast("Task[Any, Any]", update_wrapper(task, func, updated=()))

        return decorate

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
        _check_known(defaults, TaskDefaults)
        super().__init__()
        self._name = name
        self._defaults = defaults


def _execution(func: Callable[..., Any], options: TaskOptions) -> Execution:
    chosen = _chosen(options, Execution)
    if not options.get("transactional", False):
        execution = Execution(**chosen)
        if execution.run_in:
            check_findable(func)
        return execution
    return Execution(transaction=transaction_kind(func), **chosen)


def _chosen(options: TaskOptions, kind: Any) -> dict[str, Any]:
    """The options that are fields of this dataclass."""
    return {key: value for key, value in options.items() if key in kind.__dataclass_fields__}


def _check_known(options: Mapping[str, Any], known: type) -> None:
    names = known.__annotations__
    for name, value in options.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"
            raise OptionError(f"unknown task option {name}={value!r}: {hint}")


def _schedules(options: TaskOptions) -> tuple[Schedule, ...]:
    given: dict[str, Any] = {}
    for key in ("cron", "every", "timezone"):
        if options.get(key) is not None:
            given[key] = options.get(key)
    if "schedule" not in options:
        if given.keys() == {"timezone"}:
            raise OptionError(f"timezone={given['timezone']!r} says nothing without cron=…")
        return (Schedule(**given),) if given else ()
    if given:
        raise OptionError(f"schedule=… and {', '.join(given)}=… contradict each other; say it in the Schedule")
    schedules = options["schedule"]
    schedules = tuple(schedules) if isinstance(schedules, list | tuple) else (schedules,)
    for each in schedules:
        if not isinstance(each, Schedule):
            raise OptionError(f"schedule={each!r}: must be a workrow.Schedule, or a list of them")
    return schedules


def _policy(retry: Any) -> Retry | RetryValue:
    if isinstance(retry, Rule):
        return Retry(rules=(retry,), retry_on=())
    if isinstance(retry, tuple) and retry and all(isinstance(rule, Rule) for rule in retry):
        return Retry(rules=retry, retry_on=())
    if isinstance(retry, procrastinate.BaseRetryStrategy | bool) or (isinstance(retry, int) and retry >= 0):
        return retry
    raise OptionError(
        f"retry={retry!r}: must be a workrow.Retry, a Rule or a tuple of them, procrastinate's RetryStrategy, "
        "a number of retries (0 or more), True or False"
    )


def _retry(options: TaskOptions) -> Retry | RetryValue:
    retry = _policy(options.get("retry", False))
    retry_on, discard_on = options.get("retry_on"), options.get("discard_on")
    if retry_on is None and discard_on is None:
        return retry
    if retry is False:
        retry = Retry() if retry_on is not None else Retry(max_attempts=1)
    if not isinstance(retry, Retry):
        raise OptionError(f"retry_on and discard_on go with retry=workrow.Retry(…), not with retry={retry!r}")
    return retry.narrowed(retry_on, discard_on)
