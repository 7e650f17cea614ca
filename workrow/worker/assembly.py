"""The parts of a worker, put together."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

import psycopg
from procrastinate import jobs
from procrastinate.app import App

from workrow.configuration import AsyncSessions, SyncSessions, check_ageing, check_duration, check_most, check_slots
from workrow.database.link import Connect, Link
from workrow.declare.unique import Unique, check_seconds
from workrow.errors import ConfigurationError
from workrow.maintenance.aside import Aside
from workrow.maintenance.failure_hooks import FailureHooks
from workrow.maintenance.known import hidden_arguments, known_versions
from workrow.maintenance.notify_queue import NotifyQueue
from workrow.maintenance.scheduler import Scheduler
from workrow.tasks import Task
from workrow.worker.claiming.claimer import Claimer
from workrow.worker.claiming.lines import lines_of
from workrow.worker.claiming.pauses import Pauses
from workrow.worker.claiming.sleep import Sleep
from workrow.worker.claims import Claims
from workrow.worker.connections import Connections
from workrow.worker.finishing.finisher import Finisher
from workrow.worker.lane import Lane
from workrow.worker.lanes import Lanes
from workrow.worker.lease import Lease
from workrow.worker.living.retirement import Retirement
from workrow.worker.living.watchdog import Watchdog
from workrow.worker.notifications import Notifications
from workrow.worker.outcome import Claimed, Hold
from workrow.worker.running.children.pool import Processes
from workrow.worker.running.executor import Executor
from workrow.worker.running.progress import ProgressWriter
from workrow.worker.running.threads import Threads
from workrow.worker.running.transactions import Transactions
from workrow.worker.upstream import UpstreamWorker

POLL_SECONDS = 2.0
"""Seconds between two looks of an idle worker: with its heartbeat less than a statement a second."""


class Assembly(UpstreamWorker):
    """A worker that has all its parts and does nothing yet.

    Args:
        app: the app whose tasks it runs.
        connect: makes a connection in autocommit mode, for a ``purpose``.
        connect_directly: makes one that bypasses a pooler, to listen on.
        scheduler: ticks the schedules.
        upkeep: the loop that keeps the history in order, on a connection of its own.
        version: what to say of oneself in ``workrow.workers``.
        lease: seconds without a heartbeat after which others take this worker for dead.
        max_crashes: so many crashes put a job into quarantine.
        running: the set that holds it while it runs.
        sessions: makes the ``AsyncSession`` of transactional tasks.
        sync_sessions: makes their ``Session``.
        health: ``host:port`` where `problems` are told over HTTP.
        queue_concurrency: slots for each queue, instead of ``queues`` and ``concurrency``.
        priority_ageing: seconds of waiting that count as one level of priority; None: waiting counts nothing.
        max_jobs, max_memory: after so many jobs, or with more MiB than that after one, it ends in order; None: neither.
        max_jobs_per_child, max_memory_per_child: likewise each child process; None: after 1,000 jobs.
        slow_callback_duration: seconds after which a job that blocks the event loop is told; None: never.
        **options: as `procrastinate.App.run_worker_async`.
    """

    def __init__(
        self,
        app: App,
        *,
        connect: Callable[..., Awaitable[psycopg.AsyncConnection]],
        connect_directly: Callable[..., Awaitable[psycopg.AsyncConnection]],
        scheduler: Scheduler,
        upkeep: Callable[[Link], Awaitable[None]],
        version: str,
        lease: float,
        max_crashes: int,
        running: set[Any],
        sessions: AsyncSessions | None = None,
        sync_sessions: SyncSessions | None = None,
        health: str | None = None,
        queue_concurrency: Mapping[str, int] | None = None,
        priority_ageing: float | None = None,
        max_jobs: int | None = None,
        max_memory: int | None = None,
        slow_callback_duration: float | None = 1.0,
        **options: Any,
    ) -> None:
        self._longest_pause = options.get("fetch_job_polling_interval", POLL_SECONDS)
        for queue, slots in (queue_concurrency or {}).items():
            check_slots(f"queue_concurrency[{queue!r}]", slots)
        if queue_concurrency:
            options |= {"queues": list(queue_concurrency), "concurrency": sum(queue_concurrency.values())}
        self._per_child = options.pop("max_jobs_per_child", None), options.pop("max_memory_per_child", None)
        options = {"stalled_worker_timeout": lease, "update_heartbeat_interval": lease, **options}
        super().__init__(app, **options)
        self._queues = list(self.queues) if self.queues else None
        self._connect = connect
        self._connect_directly = connect_directly
        self._scheduler = scheduler
        self._upkeep = upkeep
        self._max_crashes = max_crashes
        self._health = health
        self._running = running
        self._lanes = Lanes()
        self._queue_concurrency = queue_concurrency
        self._priority_ageing = check_ageing(priority_ageing)
        self._retirement = Retirement(check_most(max_jobs=max_jobs), check_most(max_memory=max_memory), self._retire)
        self._watchdog = Watchdog(check_duration(slow_callback_duration))
        self._lease_lost = asyncio.Event()
        self._hurry = asyncio.Event()
        self._lease = self._new_lease(version)
        self._put_together(sessions, sync_sessions)

    def _put_together(self, sessions: AsyncSessions | None, sync_sessions: SyncSessions | None) -> None:
        connections = self._connections = Connections(self._connect_for, getattr(self.app, "codec", None))
        self._scheduler.works_on(connections.chores)
        self._chores = connections.chores
        transactions = Transactions(self.app.connector, sessions, sync_sessions, self.worker_name, self._deletes)
        self._progress_writer = ProgressWriter(connections.chores.run)
        self._threads, self._processes = Threads(self.concurrency), Processes(self.concurrency, *self._per_child)
        self._executor = Executor(
            self,
            self._threads,
            self._processes,
            transactions,
            self._progress_writer.say,
            connections.mark,
            connections.holds,
            connections.is_steady,
            self._hold,
            self._max_crashes,
        )
        self._finisher = Finisher(
            (connections.finishing, connections.held),
            self._lease,
            self.worker_name,
            self._max_crashes,
            self._deletes,
            self._lanes.busy,
            self._lanes.unlock,
        )
        hooks = FailureHooks(self.app.tasks, getattr(self.app, "on_failure", None), connections.claiming)
        self._claims = Claims(
            connections.claiming, self._lease, self._known, self._finisher, hooks, hidden_arguments(self.app.tasks)
        )
        self._sleep = Sleep(connections.chores, self._lease, self._queues, possible=self.listen_notify)
        self._pauses = Pauses(connections.claiming, {name: task.name for name, task in self.app.tasks.items()})
        self._notifications = Notifications(
            self._lanes,
            self._scheduler,
            self._sleep,
            self._pauses,
            connections.chores,
            self.abort_job_polling_interval,
            apart=getattr(self.app, "direct_url", None) is not None,
        )
        aside = (self._finisher.aside, self._scheduler.aside, self._lanes.aside)
        self._aside = Aside(connections.chores.run, lambda: self._lease.worker_id, aside)
        self._notify_queue = NotifyQueue(connections.chores.run, self._notifications.on_notified)

    def _connect_for(self, purpose: str) -> Connect:
        return partial(self._connect, purpose=f"{purpose} {self.worker_name}")

    def _retire(self) -> None:
        self._lanes.stop()
        self.stop()  # type: ignore[no-untyped-call]

    async def _hold(self, claimed: Claimed, hold: Hold) -> None:
        await self._connections.hold(claimed, hold)
        self._lanes.give_back_limited()

    def _new_lease(self, version: str) -> Lease:
        return Lease(
            self._connect_for("heart"),
            self.stalled_worker_timeout,
            self.update_heartbeat_interval,
            self._lease_lost.set,
            name=self.worker_name,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=self._queues,
            concurrency=self.concurrency,
            version=version,
            tasks=sorted(self.app.tasks),
        )

    def _shares(self) -> Iterable[tuple[list[str] | None, int]]:
        if self._queue_concurrency:
            return [([queue], slots) for queue, slots in self._queue_concurrency.items()]
        return [(self._queues, self.concurrency)]

    def _lane(self, queues: list[str] | None, slots: int) -> Lane:
        tasks = self.app.tasks
        return Lane(
            Claimer(
                self._claims.link,
                self._lease,
                queues,
                sorted(tasks),
                known_versions(tasks),
                self._pauses,
                lines_of(tasks, self._claims.link, self._lease, queues),
                self._priority_ageing,
            ),
            self._executor,
            self._finisher,
            self._lease,
            slots,
            self._longest_pause,
            self._claims,
            self._sleep,
            self._pauses,
            self._retirement.job_ended,
            tasks,
        )

    def _deletes(self, status: str) -> bool:
        successful = self.delete_jobs is jobs.DeleteJobCondition.SUCCESSFUL and status == jobs.Status.SUCCEEDED.value
        return successful or self.delete_jobs is jobs.DeleteJobCondition.ALWAYS

    def _check_rules(self) -> None:
        """Raise ConfigurationError for a task whose rule counts jobs that have ended, and that are gone by then."""
        keep = getattr(self.app, "keep_history", None)
        for name, task in self.app.tasks.items():
            rule = task.declared.unique if isinstance(task, Task) else None
            if not isinstance(rule, Unique) or rule.within is None:
                continue
            if any(map(self._deletes, rule.finished)):
                raise ConfigurationError(
                    f"task {name}: Unique(within={rule.within!r}) counts jobs that have ended, and this worker's "
                    f"delete_jobs={self.delete_jobs.value!r} deletes them: leave one of the two out"
                )
            if keep is not None and keep.total_seconds() < check_seconds("within", rule.within):
                raise ConfigurationError(
                    f"task {name}: Unique(within={rule.within!r}) counts jobs that have ended, for longer than the "
                    f"app's keep_history={keep!r} keeps them: make that longer, or this shorter"
                )

    def _known(self) -> set[int]:
        return self._finisher.unwritten | self._lanes.known()
