"""The assembly: an app is tasks, a database, and the workers that run them."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

import procrastinate
from procrastinate.app import WorkerOptions
from procrastinate.connector import BaseConnector, Pool
from procrastinate.utils import AwaitableContext

from workrow.arguments.payload import MAX_PAYLOAD, MAX_RESULT
from workrow.blueprint import TaskNameTaken, Tasks
from workrow.configuration import (
    AsyncSessions,
    Lease,
    SyncSessions,
    check_connection,
    check_defaults,
    check_import_paths,
    check_keep_history,
    check_max_crashes,
    check_sessions,
    check_sizes,
    lease_seconds,
)
from workrow.database.connector import URL, Connector
from workrow.database.given import tells_url
from workrow.database.urls import libpq_url
from workrow.declare.failure import Hook
from workrow.declare.resources import Provides
from workrow.enqueue import upstream_cli
from workrow.enqueue.connected import Connected
from workrow.errors import InsufficientPrivilege, SchemaError
from workrow.job import Job
from workrow.operate.controls import Controls
from workrow.tasks import Task

if TYPE_CHECKING:
    from procrastinate.worker import Worker as UpstreamWorker

    from workrow.results.results import Results
    from workrow.schedules import Schedules
    from workrow.worker import Worker

# what runs jobs is imported by who runs them: a process that only enqueues starts in half the time


class App(Provides, Tasks, Controls, Connected):
    """A ``procrastinate.App`` with typed, transactional enqueue, and rows that remember results and errors.

    Args:
        url: the database's URL, libpq's or SQLAlchemy's, or a function that returns it when it is first needed.
            Making an App opens no connection.
        connector: instead of a URL, any of procrastinate's connectors; see docs/drop-in.md.
        import_paths: modules to import before tasks are looked up.
        worker_defaults: default options of the workers, see `procrastinate.App.run_worker_async`.
        keep_history: how long finished jobs are kept: whole days are dropped when they are older. None: for ever.
        sessions: makes an SQLAlchemy ``AsyncSession``, such as an ``async_sessionmaker``; for transactional tasks.
        sync_sessions: makes an SQLAlchemy ``Session``, such as a ``sessionmaker``; for sync transactional tasks.
        direct_url: where ``url`` leads to a pooler (PgBouncer), the URL of the server itself: workers listen there.
        lease: a worker without a heartbeat for so long, seconds or a timedelta, is dead: its jobs go back to the queue.
            At least 2 s. Or a function that returns it when a worker starts.
        max_crashes: a job that so many workers have died under is quarantined; at least 2, for the first one may have
            been its neighbour's fault.
        max_payload: bytes of JSON that the arguments of one job may take (64 KiB); a task may have its own.
        max_result: the same of what one job returns (1 MiB): a job that returns more succeeds without its result.
        on_failure: the failure hook of all tasks that do not say; see `workrow.blueprint.Tasks.task`.
        max_workflow_size: how many tasks one workflow may have when it is enqueued.
        periodic_defaults: ``max_delay``: how many seconds late a due time may still be made up for (600).

    Raises:
        ConfigurationError: neither a URL nor a connector, or both; or the URL is no PostgreSQL URL; or another
            argument cannot work.
    """

    worker_type: "type[Worker] | None" = None
    """Instead of `workrow.worker.Worker`: how `workrow.testing` takes the worker in steps."""
    around_child: str | None = None
    """``module:attribute`` of what makes the context manager around every call in a child process."""

    def __init__(
        self,
        url: URL | None = None,
        *,
        connector: BaseConnector | None = None,
        import_paths: Iterable[str] | None = None,
        worker_defaults: WorkerOptions | None = None,
        periodic_defaults: dict[str, Any] | None = None,
        keep_history: timedelta | None = None,
        sessions: AsyncSessions | None = None,
        sync_sessions: SyncSessions | None = None,
        direct_url: str | None = None,
        lease: Lease | Callable[[], Lease] = 20.0,
        max_crashes: int = 3,
        max_payload: int = MAX_PAYLOAD,
        max_result: int = MAX_RESULT,
        on_failure: Hook = None,
        max_workflow_size: int = 100_000,
    ) -> None:
        check_connection(url, connector)
        check_defaults(worker_defaults, periodic_defaults)
        check_keep_history(keep_history)
        check_sessions(sessions=sessions, sync_sessions=sync_sessions)
        check_max_crashes(max_crashes)
        check_sizes(max_payload, max_result, max_workflow_size)
        if not callable(lease):
            lease_seconds(lease)
        super().__init__(
            connector=connector or Connector(cast("URL", url)),
            import_paths=check_import_paths(import_paths),
            worker_defaults=worker_defaults,
            periodic_defaults=periodic_defaults,
        )
        self.keep_history = keep_history
        self.sessions = sessions
        self.sync_sessions = sync_sessions
        self.direct_url = libpq_url(direct_url) if direct_url else None
        self._lease = lease
        upstream_cli.install()
        self.max_crashes = max_crashes
        self.max_payload = max_payload
        self.max_workflow_size = max_workflow_size
        self.on_failure = self._hook_of(on_failure)
        self.max_result = max_result
        self._start_anew()

    def _start_anew(self) -> None:
        super()._start_anew()
        self._results: Results | None = None
        self._running: set[Worker] = set()
        self.__dict__.pop("schedules", None)

    @property
    def producer(self) -> Self:
        """Itself: what the handle of a job finds where it looks for its app."""
        return self

    @property
    def results(self) -> "Results":
        """What the handles of jobs ask."""
        if self._results is None:
            from workrow.results.results import Results

            self._results = Results(self)
        return self._results

    def job(self, job_id: int) -> Job[Any]:
        """The handle of a job by its id; whether it exists is found out when the handle is asked.

        Raises:
            OptionError: it can be no job's id.
        """
        from workrow.results.results import check_id

        check_id(job_id)
        return Job(job_id, "", "", self)

    @cached_property
    def schedules(self) -> "Schedules":
        """Schedules at run time: create, update, pause, resume, run now, delete, list."""
        from workrow.schedules import Schedules

        return Schedules(self)

    def include(self, *blueprints: procrastinate.Blueprint) -> Self:
        """Register the tasks of blueprints under the names they have.

        Raises:
            TaskNameTaken: a name is in use already; nothing of that blueprint was registered.
            OptionError: likewise, where limits of one name are not the same.
        """
        for blueprint in blueprints:
            for name, task in blueprint.tasks.items():
                if name in self.tasks:
                    raise TaskNameTaken(f"the task name {name!r} is used twice; rename one, or include it once")
                self.check_limits(task)
            self.add_tasks_from(blueprint, namespace="")
        return self

    async def cancel_async(self, job_id: int, *, terminate: bool = False) -> str | None:
        """Cancel a job that waits, or ask one that runs to abort.

        Args:
            job_id: the job's id.
            terminate: end a running one whatever it does: a coroutine is cancelled and after 5 s left to itself, in a
                thread an exception is raised, a process is killed. Without it, a coroutine is cancelled, and threads
                and processes are asked through their context's ``should_abort()``.

        Returns:
            "cancelled", "aborting", or None for a job that has ended or never existed.
        """
        return await self.results.ask(self.results.cancel(job_id, terminate))

    def cancel(self, job_id: int, *, terminate: bool = False) -> str | None:
        """`cancel_async`, blocking."""
        return self.results.ask_sync(self.results.cancel(job_id, terminate))

    def open_async(self, pool: Pool | None = None) -> AwaitableContext[procrastinate.App]:
        """Open the connections; ``async with app.open_async():`` closes them too.

        Raises:
            DatabaseUnavailable: nothing answers there, or it refuses us.
        """
        return AwaitableContext(
            open_coro=partial(self.connector.open_async, pool=pool), close_coro=self.close_async, return_value=self
        )

    def running_workers(self) -> "list[Worker]":
        """The workers of this app that run in this process."""
        return list(self._running)

    async def close_async(self) -> None:
        """Close the connections, and those of who waits for results; end the workers that still use them, at once."""
        for worker in self.running_workers():
            await worker.end_now("the app was closed")
        if self._results is not None:
            await self._results.close_async()
        await super().close_async()

    def close(self) -> None:
        """The same for an app that was opened without ``async``."""
        if self._results is not None:
            self._results.close()
        super().close()

    async def check_connection_async(self) -> bool:
        """Whether the database is reached and migrated; ``procrastinate healthchecks`` asks this.

        Raises:
            SchemaError: it is reached, but its schema is not the one that this package works with.
        """
        await self._check_schema()
        return await super().check_connection_async()

    async def run_worker_async(self, **kwargs: Unpack[WorkerOptions]) -> None:
        """Run a worker until it is stopped; see procrastinate for the options.

        Raises:
            SchemaError: the database's schema is not the one that this package works with.
            InsufficientPrivilege: its role lacks a grant.
        """
        await self._check_schema(for_worker=True)
        await self.declare_caps()
        if isinstance(self.connector, Connector):
            await self.connector.keep_none()
        await super().run_worker_async(**kwargs)

    def _worker(self, **kwargs: Unpack[WorkerOptions]) -> "UpstreamWorker":
        from workrow import __version__
        from workrow.database.link import connect
        from workrow.maintenance.historian import Historian
        from workrow.maintenance.scheduler import Scheduler
        from workrow.worker import Worker

        options: dict[str, Any] = {**self.worker_defaults, **kwargs}
        if not self._has_workers:
            return super()._worker(**kwargs)
        tasks = {id(task): task for task in self.tasks.values() if isinstance(task, Task)}
        max_delay = timedelta(seconds=self.periodic_defaults.get("max_delay", 600))
        worker = (self.worker_type or Worker)(
            self,
            connect=partial(connect, self.connector),
            connect_directly=partial(connect, self.connector, self.direct_url),
            scheduler=Scheduler(self.connector, tasks.values(), max_delay),
            upkeep=Historian(self.connector, self.keep_history, self.declare_held_caps).run,
            version=__version__,
            sessions=self.sessions,
            sync_sessions=self.sync_sessions,
            lease=lease_seconds(self._lease() if callable(self._lease) else self._lease),
            max_crashes=self.max_crashes,
            running=self._running,
            **options,
        )
        if isinstance(self.connector, Connector):
            self.connector.purpose = f"pool {worker.worker_name}"
        return worker

    async def _check_schema(self, *, for_worker: bool = False) -> None:
        if not tells_url(self.connector):
            return
        from workrow import schema
        from workrow.schema.roles import check_worker

        problem: SchemaError | InsufficientPrivilege
        try:
            await asyncio.to_thread(schema.check, self.database_url)
            if for_worker:
                await asyncio.to_thread(check_worker, self.database_url)
        except (SchemaError, InsufficientPrivilege) as error:
            problem = error
        else:
            return
        # outside the except clause, so that procrastinate's CLI prints this line and not its whole ancestry
        raise problem.with_traceback(None)
