"""A task: a function that can be enqueued, and how."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, Generic, ParamSpec, Protocol, Unpack, cast, overload

import procrastinate
from procrastinate import tasks as upstream_tasks
from procrastinate.exceptions import AppNotOpen, UnboundTaskError
from typing_extensions import TypeVar

from workrow import transaction
from workrow.arguments import MAX_PAYLOAD, Parameters, Payload, Result, without
from workrow.conditional import copy, copy_async, insert_once, insert_once_async, once_params
from workrow.deferrer import Deferrer
from workrow.enqueue import (
    Arguments,
    JobManager,
    as_upstream_jobs,
    copy_lines,
    insert,
    insert_async,
    row_params,
)
from workrow.errors import ArgumentError, OptionError
from workrow.execution import PLAIN, Execution
from workrow.hooks import Enqueue, Hooked, HookedDeferrer, Hooks, entered
from workrow.limits import Limits, Line
from workrow.options import EnqueueOptions, Options
from workrow.payload import dump_arguments
from workrow.resources import injected_names
from workrow.schedule import Schedule
from workrow.transaction import AsyncTransaction, Params, SyncTransaction
from workrow.types import Job, Results
from workrow.uniqueness import check_names

PLAIN_PAYLOAD = Payload()

P = ParamSpec("P")
R = TypeVar("R")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Producer(Protocol):
    """What a bound task needs of its app."""

    job_manager: JobManager

    @property
    def results(self) -> Results:
        """What the handles of its jobs ask."""


class Call(Generic[P, R]):
    """A task with the options of the jobs to come: what ``task.options(…)`` returns."""

    _hooked = False
    _json_too = False

    def __init__(self, task: "Task[P, R]", options: Options) -> None:
        self._task = task
        self._options = options
        self._conditional = options.conditional

    def options(self, **changes: Unpack[EnqueueOptions]) -> "Call[P, R]":
        """The same with some options changed; see `workrow.options.Options`.

        Raises:
            OptionError: an option is unknown or out of range.
        """
        options = self._options.changed(changes)
        self._task.check_rule(options)
        return Call(self._task, options)

    @overload
    def enqueue(self, on: AsyncTransaction | None, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[Job[R]]: ...
    @overload
    def enqueue(self, on: SyncTransaction, /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    def enqueue(
        self, on: AsyncTransaction | SyncTransaction | None, /, *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[Job[R]] | Job[R]:
        """Insert one job. It exists exactly if the transaction of ``on`` commits.

        Args:
            on: an SQLAlchemy ``AsyncSession``, ``AsyncConnection``, ``Session`` or ``Connection``, a psycopg
                ``AsyncConnection`` or ``Connection``; or None for a transaction of its own on the opened app.
            *args: the task's own arguments, without the context.
            **kwargs: the same by name.

        Returns:
            The job; an awaitable of it when ``on`` is async or None.

        Raises:
            ArgumentError: the arguments do not fit the signature, or are not JSON, or more than ``max_payload``.
            TransactionError: the transaction has failed, is read-only or closed.
            AlreadyEnqueued: a job with the same queueing lock waits, or of a rule with ``on_conflict="raise"``.
            QueueFull: the queue holds as many jobs as it may.
        """
        arguments = [self._bind(args, kwargs)]
        if on is None or transaction.is_async(on):
            return self._first(self._insert_async(cast("AsyncTransaction | None", on), arguments))
        return self._insert(cast("SyncTransaction", on), arguments)[0]

    @overload
    def enqueue_many(
        self, on: AsyncTransaction | None, rows: Iterable[Mapping[str, Any]], /
    ) -> Awaitable[list[Job[R]]]: ...
    @overload
    def enqueue_many(self, on: SyncTransaction, rows: Iterable[Mapping[str, Any]], /) -> list[Job[R]]: ...
    def enqueue_many(
        self, on: AsyncTransaction | SyncTransaction | None, rows: Iterable[Mapping[str, Any]], /
    ) -> Awaitable[list[Job[R]]] | list[Job[R]]:
        """Insert one job for each mapping of arguments, in one statement: all of them or none.

        Returns:
            The jobs in the order of ``rows``; an awaitable of them when ``on`` is async or None.

        Raises:
            As `enqueue`.
        """
        arguments = [self._bind((), row) for row in rows]
        if on is None or transaction.is_async(on):
            return self._insert_async(cast("AsyncTransaction | None", on), arguments)
        return self._insert(cast("SyncTransaction", on), arguments)

    @overload
    def enqueue_copy(self, on: AsyncTransaction, rows: Iterable[Mapping[str, Any]], /) -> Awaitable[int]: ...
    @overload
    def enqueue_copy(self, on: SyncTransaction, rows: Iterable[Mapping[str, Any]], /) -> int: ...
    def enqueue_copy(
        self, on: AsyncTransaction | SyncTransaction, rows: Iterable[Mapping[str, Any]], /
    ) -> Awaitable[int] | int:
        """`enqueue_many` for very many jobs: streamed by COPY, never all in memory, in the caller's transaction.

        Args:
            on: as for `enqueue`, on psycopg's driver; not None.
            rows: one mapping of arguments for each job; may be a generator.

        Returns:
            How many jobs; an awaitable of it when ``on`` is async. Their ids are not told.

        Raises:
            ArgumentError: arguments do not fit the signature, or are not JSON; the transaction has failed then.
            OptionError: the options have a queueing lock, a rule or an expiry, which COPY cannot honour.
            QueueFull: the queue is full already; how many jobs the stream has is not looked at.
            TransactionError: the transaction cannot take the jobs, or is another driver's.
        """
        if self._conditional:
            raise OptionError(
                f"{self._task.name}: unique, debounce, throttle and expires do not go together with COPY; "
                "use enqueue_many"
            )
        if self._options.queueing_lock is not None:
            raise OptionError(
                f"{self._task.name}: queueing_lock={self._options.queueing_lock!r} and COPY do not go together; "
                "use enqueue_many"
            )
        bound = (self._bind((), row) for row in rows)
        lines = copy_lines(
            self._task.name,
            self._options,
            bound,
            self._task.line,
            version=self._task.payload.stored_version,
            limit=self._task.max_payload,
        )
        if transaction.is_async(on):
            return copy_async(cast("AsyncTransaction", on), self._options.queue, lines)
        return copy(cast("SyncTransaction", on), self._options.queue, lines)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Insert one job in a transaction of its own, at once: Celery's word. Blocks for one round trip.

        Raises:
            As `enqueue`.
        """
        arguments = [self._bind(args, kwargs)]
        if (hooks := self._task.enqueue_hooks()) and not self._hooked:
            enqueue = Enqueue(self._task.name, self._options, arguments)
            with entered(hooks, enqueue):
                inside: Call[..., R] = self._inside(enqueue)
                job = inside.delay(**enqueue.arguments[0])
                enqueue.ids = [job.id]
            return job
        name, manager = self._task.name, self._task.producer.job_manager
        if self._conditional:
            with manager.own_connection() as connection:
                return self._insert(connection, arguments)[0]
        own = manager.insert_own(self._row(arguments))
        if own is not None:
            return self._handle(own[0])
        limit = self._task.max_payload
        return self._jobs(manager.batch_defer_jobs(as_upstream_jobs(name, self._options, arguments, limit)))[0]

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        countdown: float | None = None,
        eta: datetime | None = None,
        queue: str | None = None,
        priority: int | None = None,
        expires: float | datetime | None = None,
    ) -> Job[R]:
        """`delay` with options, as Celery spells them.

        Args:
            args: positional arguments.
            kwargs: arguments by name.
            countdown: start no sooner than so many seconds from now.
            eta: start no sooner than this; a datetime with a time zone.
            queue: the queue's name instead of the task's.
            priority: a higher one runs first (with Redis, Celery has it the other way round).
            expires: never start later than so many seconds after it may start, or than this datetime.

        Raises:
            As `enqueue`; OptionError for a bad option.
        """
        given = {"delay": countdown, "at": eta, "queue": queue, "priority": priority, "expires": expires}
        changes = {name: value for name, value in given.items() if value is not None}
        call: Call[..., R] = Call(self._task, self._options.changed(changes))
        return call.delay(*(args or ()), **(kwargs or {}))

    @staticmethod
    async def _first(jobs: Awaitable[list[Job[R]]]) -> Job[R]:
        return (await jobs)[0]

    async def _insert_async(self, on: AsyncTransaction | None, arguments: list[Arguments]) -> list[Job[R]]:
        task = self._task
        if not arguments:
            return []
        if (hooks := task.enqueue_hooks()) and not self._hooked:
            enqueue = Enqueue(task.name, self._options, arguments, on)
            with entered(hooks, enqueue):
                jobs = await self._inside(enqueue).enqueue_many(on, enqueue.arguments)
                enqueue.ids = [job.id for job in jobs]
            return jobs
        if self._conditional:
            return await self._insert_once_async(on, arguments)
        if on is not None:
            ids = await insert_async(on, self._row(arguments))
            return [self._handle(id_) for id_ in ids]
        manager = task.producer.job_manager
        try:
            own = await manager.insert_own_async(self._row(arguments))
            if own is not None:
                return [self._handle(id_) for id_ in own]
            return self._jobs(
                await manager.batch_defer_jobs_async(
                    as_upstream_jobs(task.name, self._options, arguments, task.max_payload)
                )
            )
        except AppNotOpen:
            raise AppNotOpen(
                f"{task.name}: enqueue(None, …) uses the app's own connections: "
                "open it first with `async with app.open_async():`"
            ) from None

    def _insert(self, on: SyncTransaction, arguments: list[Arguments]) -> list[Job[R]]:
        if not arguments:
            return []
        if (hooks := self._task.enqueue_hooks()) and not self._hooked:
            enqueue = Enqueue(self._task.name, self._options, arguments, on)
            with entered(hooks, enqueue):
                jobs = self._inside(enqueue).enqueue_many(on, enqueue.arguments)
                enqueue.ids = [job.id for job in jobs]
            return jobs
        if self._conditional:
            return self._found(insert_once(on, self._once_params(arguments)))
        ids = insert(on, self._row(arguments))
        return [self._handle(id_) for id_ in ids]

    def _inside(self, enqueue: Enqueue) -> "Call[P, R]":
        """The call that the hooks have made of this one."""
        self._task.check_rule(enqueue.options)
        call = Call(self._task, enqueue.options)
        call._hooked = call._json_too = True
        return call

    async def _insert_once_async(self, on: AsyncTransaction | None, arguments: list[Arguments]) -> list[Job[R]]:
        params = self._once_params(arguments)
        if on is not None:
            return self._found(await insert_once_async(on, params))
        async with self._task.producer.job_manager.own_connection_async() as connection:
            return self._found(await insert_once_async(connection, params))

    def _once_params(self, arguments: list[Arguments]) -> dict[str, Any]:
        return once_params(self._row(arguments), self._options, self._task.signature, arguments)

    def _found(self, found: list[tuple[int, bool]]) -> list[Job[R]]:
        return [Job(id_, self._task.name, self._options.queue, self._task, created) for id_, created in found]

    def taking_json(self) -> "Call[..., R]":
        """The same for arguments that may be the JSON of what the signature says: those of a row."""
        call: Call[..., R] = Call(self._task, self._options)
        call._json_too = True
        return call

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
        return self._task.bind(args, kwargs, json_too=self._json_too)

    def _row(self, arguments: list[Arguments]) -> Params:
        task = self._task
        return row_params(
            *(task.name, self._options, arguments, task.line),
            version=task.payload.stored_version,
            limit=task.max_payload,
        )

    def _jobs(self, rows: list[procrastinate.jobs.Job]) -> list[Job[R]]:
        return [self._handle(cast("int", row.id)) for row in rows]

    def _handle(self, job_id: int) -> Job[R]:
        return Job(job_id, self._task.name, self._options.queue, self._task)


class Task(Call[P, R], upstream_tasks.Task[P, Any, P]):
    """A function that can be enqueued: a ``procrastinate.tasks.Task`` with a typed ``enqueue``.

    ``P`` are the function's arguments without the context, ``R`` is what it returns (awaited).
    """

    def __init__(
        self,
        func: Callable[..., Any],
        *,
        options: Options,
        schedules: Sequence[Schedule] = (),
        execution: Execution = PLAIN,
        limits: Limits = (),
        payload: Payload = PLAIN_PAYLOAD,
        **kwargs: Any,
    ):
        # mypy infers the type parameters of a base class's __init__ in some orders of checking, and not in others
        init: Any = upstream_tasks.Task.__init__
        init(
            self,
            func,
            queue=options.queue,
            priority=options.priority,
            lock=options.lock,
            queueing_lock=options.queueing_lock,
            **kwargs,
        )
        Call.__init__(self, self, options)
        self._hooks = self.blueprint.hooks if isinstance(self.blueprint, Hooked) else Hooks()
        self.execution = execution
        self.payload = payload
        self._check_signature()
        self.line = Line(self.name, self.queue, limits, self.signature) if limits else None
        if options.rule is not None:
            check_names(options.rule, self.signature)
        self.parameters = Parameters(func, self.signature)
        self.returns = Result(func)
        self.schedules = self._named(schedules)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, here and now."""
        return self.func(*args, **kwargs)

    @property
    def schedule(self) -> Schedule | None:
        """The schedule declared with it, or the first of several; `schedules` has all, by their names."""
        return next(iter(self.schedules.values()), None)

    @property
    def producer(self) -> Producer:
        """The app that the task was registered on.

        Raises:
            UnboundTaskError: it is on a blueprint that no app includes yet.
        """
        if not hasattr(self.blueprint, "job_manager"):
            raise UnboundTaskError(f"{self.name}: its blueprint is on no app yet: call app.include(blueprint) first")
        return cast("Producer", self.blueprint)

    @cached_property
    def signature(self) -> inspect.Signature:
        """The arguments that a job carries: the function's own without the transaction, the context and resources."""
        first = bool(self.execution.transaction) + bool(self.pass_context)
        return without(inspect.signature(self.func), first, injected_names(self.func))

    def enqueue_hooks(self) -> Sequence[Any]:
        """The hooks around every enqueue, outermost first: the app's, then those of its blueprint."""
        own, app = self._hooks, getattr(self.blueprint, "hooks", None)
        if app is None or app is own:
            return own.enqueue
        return (*app.enqueue, *own.enqueue) if app.enqueue or own.enqueue else ()

    def run_hooks(self) -> Sequence[Any]:
        """The hooks around every attempt, in the shape of procrastinate's worker middleware, in the same order."""
        own, app = self._hooks, getattr(self.blueprint, "hooks", None)
        return own.run if app is None or app is own else (*app.run, *own.run)

    @cached_property
    def _plain_names(self) -> frozenset[str] | None:
        """The names of the arguments; None where any name will do."""
        parameters = self.signature.parameters.values()
        if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            return None
        return frozenset(parameter.name for parameter in parameters)

    @property
    def max_payload(self) -> int:
        """Bytes of JSON that the arguments of one job may take: the task's, or the app's."""
        own = self.payload.max_payload
        return getattr(self.blueprint, "max_payload", MAX_PAYLOAD) if own is None else own

    def load(self, arguments: Arguments, version: int | None) -> Arguments:
        """The arguments of a row as the function takes them, upcast if they are of an older version.

        Raises:
            Misfit: they do not fit.
        """
        return self.parameters.load(self.payload.upcasted(arguments, version))

    def load_result(self, stored: Any) -> R:
        """What the task returned, from the JSON value that is stored of it.

        Raises:
            ResultError: it does not fit the return annotation.
        """
        return cast("R", self.returns.load(stored))

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any], *, json_too: bool = False) -> Arguments:
        """The arguments by name, as they are stored: JSON values.

        Args:
            args: by position.
            kwargs: by name.
            json_too: see `workrow.arguments.Parameters.dump`.

        Raises:
            ArgumentError: they do not fit the function's signature.
        """
        return self.parameters.dump(self.name, self._bound(args, kwargs), json_too=json_too)

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
        if not args and self._plain_names is not None and kwargs.keys() == self._plain_names:
            return dict(kwargs)  # the common case: each by its name, nothing left to a default
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"{self.name}{self.signature}: {error}") from None
        arguments = bound.arguments
        for name, parameter in self.signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(arguments.pop(name, {}))
        return arguments

    def check_rule(self, options: Options) -> None:
        """Raise OptionError if the rule of these options names no argument of this task."""
        if options.rule is None:
            return
        try:
            check_names(options.rule, self.signature)
        except OptionError as error:
            raise OptionError(f"task {self.name}: {error}") from None

    def configure(self, **options: Any) -> Any:
        """procrastinate's way to `options`; see there. The arguments are checked as `enqueue` does; their JSON will do.

        Raises:
            OptionError: the task has a rule or an expiry, which only ``enqueue()`` and ``delay()`` know.
        """
        if self._conditional:
            raise OptionError(
                f"task {self.name}: procrastinate's defer() and configure() know nothing of unique, debounce, throttle "
                "and expires; use enqueue() or delay()"
            )
        checked = partial(Deferrer.of, self)
        deferrer = super().configure(**options)
        hooks = self.enqueue_hooks()
        return HookedDeferrer(deferrer, hooks, checked) if hooks else checked(deferrer)

    def _check_signature(self) -> None:
        if self.execution.run_in and (injected := injected_names(self.func)):
            raise OptionError(
                f"task {self.name}: run_in='process' and {sorted(injected)[0]} = inject() do not go together: the "
                "resources live in the worker's process; make it inside of the task"
            )
        unnamed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
        for name, parameter in self.signature.parameters.items():
            if parameter.kind in unnamed:
                raise OptionError(
                    f"task {self.name}: parameter {parameter} has no name of its own, and arguments are stored "
                    f"by name; declare {name} as a normal parameter (a list, perhaps)"
                )

    def _named(self, schedules: Sequence[Schedule]) -> dict[str, Schedule]:
        """The schedules under the names that the database knows them by."""
        named: dict[str, Schedule] = {}
        for schedule in schedules:
            name = f"{self.name}:{schedule.name}" if schedule.name else self.name
            if name in named:
                raise OptionError(f"task {self.name}: two schedules are named {name!r}; give each its own name=…")
            self.check_schedule(schedule)
            named[name] = schedule
        return named

    def check_schedule(self, schedule: Schedule) -> Arguments:
        """What the schedule's jobs carry, but for the due time.

        Raises:
            OptionError: its arguments do not fit the signature, or cannot be stored; or its options do not go with the
                task's.
        """
        changes = {"queue": schedule.queue, "priority": schedule.priority}
        self._options.changed({option: value for option, value in changes.items() if value is not None})
        if schedule.overlap == "queue" and self._options.lock is not None:
            raise OptionError(
                f"overlap='queue' and the task's lock={self._options.lock!r} contradict each other: jobs of one lock "
                "queue already; drop one"
            )
        try:
            bound = self.bind((), {**schedule.args, **self.due_arguments(EPOCH, schedule.args)}, json_too=True)
            dump_arguments(self.name, bound)
        except ArgumentError as error:
            raise OptionError(
                f"the schedule's args={dict(schedule.args)!r}: {error}; give what is missing in Schedule(args=…), or a "
                "default in the function"
            ) from None
        return {name: value for name, value in bound.items() if name in schedule.args}

    def due_arguments(self, due_at: datetime, args: Mapping[str, Any]) -> Arguments:
        """What parameters get that are named for the due time, and are not among ``args``."""
        known = {"due_at": due_at.isoformat(), "timestamp": int(due_at.timestamp())}
        return {name: value for name, value in known.items() if name in self.signature.parameters and name not in args}


def known_versions(tasks: Mapping[str, Any]) -> list[str]:
    """``"name:version"`` of all versions that a worker can run: what a job with a version is claimed by."""
    return [
        f"{name}:{version}"
        for name, task in tasks.items()
        if isinstance(task, Task)
        for version in range(1, task.payload.version + 1)
        if task.payload.version > 1
    ]
