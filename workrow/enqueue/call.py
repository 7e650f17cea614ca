"""What can be done with a task: enqueue its jobs, in somebody's transaction or one of their own."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ParamSpec, Unpack, cast, overload

import procrastinate
from asgiref.sync import sync_to_async
from procrastinate.exceptions import AppNotOpen
from typing_extensions import TypeVar

from workrow.arguments.jsonb import check_rows
from workrow.declare.hooks import Enqueue, entered
from workrow.declare.options import EnqueueOptions, Options
from workrow.enqueue import transaction
from workrow.enqueue.celery_words import CeleryWords
from workrow.enqueue.collecting import collected, collected_async, collecting
from workrow.enqueue.hiding import hidden_params
from workrow.enqueue.insert import (
    Arguments,
    as_upstream_jobs,
    insert,
    insert_async,
    row_params,
)
from workrow.enqueue.own import surrounding_of
from workrow.enqueue.target import Target
from workrow.enqueue.transaction import FORGOTTEN, AsyncTransaction, Params, SyncTransaction
from workrow.job import Job

P = ParamSpec("P")
R = TypeVar("R")


class Call(CeleryWords[P, R]):
    """A task with the options of the jobs to come: what ``task.options(…)`` returns."""

    _hooked = False
    _json_too = False

    def __init__(self, task: Target, options: Options) -> None:
        self._task = task
        self._options = options
        self._conditional = options.conditional

    def options(self, **changes: Unpack[EnqueueOptions]) -> "Call[P, R]":
        """The same with some options changed; see `workrow.declare.options.Options`.

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
        self, on: AsyncTransaction | SyncTransaction | None = FORGOTTEN, /, *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[Job[R]] | Job[R]:
        """Insert one job. It exists exactly if the transaction of ``on`` commits.

        Args:
            on: an SQLAlchemy ``AsyncSession``, ``AsyncConnection``, ``Session`` or ``Connection``, a psycopg
                ``AsyncConnection`` or ``Connection``, a connection of Django's; or None for a transaction of its own
                on the opened app. On a `workrow.django.App` None is Django's connection, and it may be left out.
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
        on = surrounding_of(self._task) if on is FORGOTTEN else on
        loops = on is None or transaction.is_async(on)
        arguments = [self._bind(args, kwargs)]
        if loops:
            one: Any = self._insert_one_async(cast("AsyncTransaction | None", on), arguments)
            one.__qualname__ = self._task.name + ".enqueue"  # what Python says of one that nobody awaits
            return cast("Awaitable[Job[R]]", one)
        return self._insert(cast("SyncTransaction", on), arguments)[0]

    @overload
    def enqueue_many(
        self, on: AsyncTransaction | None, rows: Iterable[Mapping[str, Any]], /
    ) -> Awaitable[list[Job[R]]]: ...
    @overload
    def enqueue_many(self, on: SyncTransaction, rows: Iterable[Mapping[str, Any]], /) -> list[Job[R]]: ...
    def enqueue_many(
        self,
        on: AsyncTransaction | SyncTransaction | None = FORGOTTEN,
        rows: Iterable[Mapping[str, Any]] = FORGOTTEN,
        /,
    ) -> Awaitable[list[Job[R]]] | list[Job[R]]:
        """Insert one job for each mapping of arguments, in one statement: all of them or none.

        Returns:
            The jobs in the order of ``rows``; an awaitable of them when ``on`` is async or None.

        Raises:
            As `enqueue`.
        """
        on = surrounding_of(self._task) if on is FORGOTTEN else on
        loops = on is None or transaction.is_async(on)
        arguments = list(self._task.bind_rows(check_rows(self._task.name, rows), json_too=self._json_too))
        if loops:
            many: Any = self._insert_async(cast("AsyncTransaction | None", on), arguments)
            many.__qualname__ = self._task.name + ".enqueue_many"
            return cast("Awaitable[list[Job[R]]]", many)
        return self._insert(cast("SyncTransaction", on), arguments)

    @overload
    def enqueue_copy(self, on: AsyncTransaction, rows: Iterable[Mapping[str, Any]], /) -> Awaitable[int]: ...
    @overload
    def enqueue_copy(self, on: SyncTransaction, rows: Iterable[Mapping[str, Any]], /) -> int: ...
    def enqueue_copy(
        self,
        on: AsyncTransaction | SyncTransaction = FORGOTTEN,
        rows: Iterable[Mapping[str, Any]] = FORGOTTEN,
        /,
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
        from workrow.enqueue.copy import check_copy, copy, copy_async, copy_lines

        check_copy(self._task.name, on, self._options)
        loops = transaction.is_async(on)
        bound = self._task.bind_rows(check_rows(self._task.name, rows), json_too=self._json_too)
        lines = partial(
            copy_lines,
            self._task.name,
            self._options,
            bound,
            self._task.line,
            version=self._task.payload.stored_version,
            limit=self._task.max_payload,
            hidden=self._task.hidden,
        )
        known = hidden_params(self._task.name, self._task.hidden)
        if loops:
            copying: Any = copy_async(cast("AsyncTransaction", on), self._options, lines, known)
            copying.__qualname__ = self._task.name + ".enqueue_copy"
            return cast("Awaitable[int]", copying)
        return copy(cast("SyncTransaction", on), self._options, lines, known)

    async def _insert_one_async(self, on: AsyncTransaction | None, arguments: list[Arguments]) -> Job[R]:
        return (await self._insert_async(on, arguments))[0]

    async def _insert_async(self, on: AsyncTransaction | None, arguments: list[Arguments]) -> list[Job[R]]:
        task = self._task
        if not arguments:
            return []
        if on is None and surrounding_of(task) is not FORGOTTEN:
            return await sync_to_async(self._insert_here)(arguments)
        if (batch := collecting.get()) is not None:
            manager = task.producer.job_manager
            return await collected_async(batch, on, manager, lambda own: self._insert_async(own, arguments), task)
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
                    as_upstream_jobs(task.name, self._options, arguments, task.max_payload, task.hidden)
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
        if (batch := collecting.get()) is not None:
            task, manager = self._task, self._task.producer.job_manager
            return collected(batch, on, manager, lambda own: self._insert(own, arguments), task)
        if (hooks := self._task.enqueue_hooks()) and not self._hooked:
            enqueue = Enqueue(self._task.name, self._options, arguments, on)
            with entered(hooks, enqueue):
                jobs = self._inside(enqueue).enqueue_many(on, enqueue.arguments)
                enqueue.ids = [job.id for job in jobs]
            return jobs
        if self._conditional:
            from workrow.enqueue.once import insert_once

            return self._found(insert_once(on, self._once_params(arguments)))
        ids = insert(on, self._row(arguments))
        return [self._handle(id_) for id_ in ids]

    def _insert_own(self, arguments: Arguments) -> Job[R]:
        """One job in a transaction of its own, blocking."""
        task, manager = self._task, self._task.producer.job_manager
        if manager.surrounding is not None:
            return self._insert_here([arguments])[0]
        if (batch := collecting.get()) is not None:
            return collected(batch, None, manager, lambda own: self._insert(own, [arguments]), task)[0]
        if (hooks := task.enqueue_hooks()) and not self._hooked:
            enqueue = Enqueue(task.name, self._options, [arguments])
            with entered(hooks, enqueue):
                inside = self._inside(enqueue)
                job = inside._insert_own(inside._bind((), enqueue.arguments[0]))
                enqueue.ids = [job.id]
            return job
        if self._conditional:
            with manager.own_connection() as connection:
                return self._insert(connection, [arguments])[0]
        own = manager.insert_own(self._row([arguments]))
        if own is not None:
            return self._handle(own[0])
        upstream = as_upstream_jobs(task.name, self._options, [arguments], task.max_payload, task.hidden)
        return self._jobs(manager.batch_defer_jobs(upstream))[0]

    def _insert_here(self, arguments: list[Arguments]) -> list[Job[R]]:
        """Jobs in the transaction around."""
        manager = self._task.producer.job_manager
        with manager.own_connection() if collecting.get() is None else manager.own_transaction() as connection:
            return self._insert(connection, arguments)

    def _inside(self, enqueue: Enqueue) -> "Call[P, R]":
        """The call that the hooks have made of this one."""
        self._task.check_rule(enqueue.options)
        call: Call[P, R] = Call(self._task, enqueue.options)
        call._hooked = call._json_too = True
        return call

    async def _insert_once_async(self, on: AsyncTransaction | None, arguments: list[Arguments]) -> list[Job[R]]:
        from workrow.enqueue.once import insert_once_async

        params = self._once_params(arguments)
        if on is not None:
            return self._found(await insert_once_async(on, params))
        async with self._task.producer.job_manager.own_connection_async() as connection:
            return self._found(await insert_once_async(connection, params))

    def _once_params(self, arguments: list[Arguments]) -> dict[str, Any]:
        from workrow.enqueue.once import once_params

        task = self._task
        return once_params(self._row(arguments), self._options, task.signature, arguments, task.hidden)

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
            hidden=task.hidden,
        )

    def _jobs(self, rows: list[procrastinate.jobs.Job]) -> list[Job[R]]:
        return [self._handle(cast("int", row.id)) for row in rows]

    def _handle(self, job_id: int) -> Job[R]:
        return Job(job_id, self._task.name, self._options.queue, self._task)
