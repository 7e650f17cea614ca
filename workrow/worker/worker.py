"""The worker: puts the parts together, keeps them going, and stops them in order."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

import psycopg
from procrastinate import jobs
from procrastinate.app import App

from workrow.database.link import Connect, Link, persist, read_json
from workrow.database.outage import LOST, Outage
from workrow.database.supervision import supervise, unless
from workrow.maintenance.expirer import Expirer
from workrow.maintenance.rescuer import Rescuer
from workrow.maintenance.scheduler import Scheduler
from workrow.tasks import known_versions
from workrow.worker.claiming.claimer import Claimer
from workrow.worker.claiming.claims import Claims
from workrow.worker.claiming.lines import lines_of
from workrow.worker.claiming.notifications import Ears
from workrow.worker.claiming.pauses import Pauses
from workrow.worker.claiming.sleep import Sleep
from workrow.worker.finishing.finisher import Finisher
from workrow.worker.lane import Lane
from workrow.worker.lease import Lease
from workrow.worker.living.health import serve
from workrow.worker.living.signals import on_stop
from workrow.worker.living.stopping import GOODBYE_SECONDS, let_end, write_down
from workrow.worker.outcome import Claimed
from workrow.worker.running.executor import Executor
from workrow.worker.running.progress import Board
from workrow.worker.running.transactions import AsyncSessions, SyncSessions, Transactions
from workrow.worker.upstream import UpstreamWorker, check_slots

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0
"""An idle worker looks so often: together with its heartbeat that is less than a statement a second."""
RATE_SECONDS = 10.0
UNFINISHED = os.EX_TEMPFAIL
"""The exit code of a worker that had to leave something behind: tasks which did not end, and were given back while they
went on; or finished jobs that the database, being away, was not told of."""


class Worker(UpstreamWorker):
    """Runs jobs: claims them in batches, executes them, and moves them to history in batches.

    Args:
        app: the app whose tasks it runs.
        connect: makes a connection in autocommit mode.
        connect_directly: makes one that bypasses a pooler, to listen on.
        scheduler: ticks the schedules.
        upkeep: the loop that keeps the history in order.
        version: what to say of oneself in ``workrow.workers``.
        lease: seconds without a heartbeat after which others take this worker for dead.
        max_crashes: so many crashes put a job into quarantine.
        running: where to be found while it runs.
        sessions: makes the ``AsyncSession`` of transactional tasks.
        sync_sessions: makes their ``Session``.
        health: ``host:port`` where `problems` are told over HTTP.
        queue_concurrency: slots for each queue, instead of ``queues`` and ``concurrency``.
        **options: as `procrastinate.App.run_worker_async`.
    """

    def __init__(
        self,
        app: App,
        *,
        connect: Connect,
        connect_directly: Connect,
        scheduler: Scheduler,
        upkeep: Callable[[], Awaitable[None]],
        version: str,
        lease: float,
        max_crashes: int,
        running: set["Worker"],
        sessions: AsyncSessions | None = None,
        sync_sessions: SyncSessions | None = None,
        health: str | None = None,
        queue_concurrency: Mapping[str, int] | None = None,
        **options: Any,
    ) -> None:
        self._longest_pause = options.get("fetch_job_polling_interval", POLL_SECONDS)
        for queue, slots in (queue_concurrency or {}).items():
            check_slots(f"queue_concurrency[{queue!r}]", slots)
        if queue_concurrency:
            options |= {"queues": list(queue_concurrency), "concurrency": sum(queue_concurrency.values())}
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
        self._lanes: list[Lane] = []
        self._queue_concurrency = queue_concurrency
        self._lease = Lease(
            connect,
            self.stalled_worker_timeout,
            self.update_heartbeat_interval,
            self._on_lease_lost,
            name=self.worker_name,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=self._queues,
            concurrency=self.concurrency,
            version=version,
            tasks=sorted(app.tasks),
        )
        # a claim that a crash of the server undoes leaves the job ready, so that it need not wait for the disk
        claiming = Link(connect, "SET synchronous_commit = off", json_loads=read_json)
        self._finishes = Link(connect, "SET lock_timeout = '2s'")
        self._chores = Link(connect, "SET synchronous_commit = off", outage=Outage("chores"))
        self._asking = Outage("asking for jobs")
        transactions = Transactions(app.connector, sessions, sync_sessions, self.worker_name, self._deletes)
        self._board = Board(self._chores.run)
        self._executor = Executor(
            self,
            self.concurrency,
            transactions,
            self._board.say,
            partial(self._ask, "mark_job"),
            partial(self._ask, "read_claim"),
            self._is_steady,
            max_crashes,
        )
        self._finisher = Finisher(
            self._finishes, self._lease, self.worker_name, max_crashes, self._deletes, self._is_busy, self._on_unlock
        )
        self._claims = Claims(claiming, self._lease, self._known, self._finisher)
        self._sleep = Sleep(self._chores, self._lease, self._queues, possible=self.listen_notify)
        self._pauses = Pauses(claiming, {name: task.name for name, task in app.tasks.items()})
        self._ears = Ears(
            self._lanes, scheduler, self._sleep, self._pauses, self._chores, self.abort_job_polling_interval
        )
        self._lease_lost = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        """Run until `stop`; with ``wait=False`` until no job is left. Cancelling it is a request to stop.

        Raises:
            ConfigurationError: the app lacks what one of its tasks needs.
            SystemExit: a signal ended it before the ends of all jobs were written.
        """
        self._executor.check()
        self._stop_event.clear()
        self._loop = asyncio.get_running_loop()
        self.run_task = asyncio.current_task()
        work = self._work_task = asyncio.create_task(self._run(), name="worker")
        self._running.add(self)
        cancelled: asyncio.CancelledError | None = None
        try:
            while not work.done():
                try:
                    await asyncio.shield(work)
                except asyncio.CancelledError as error:
                    if cancelled:
                        self._hurry.set()
                    cancelled = error
                    self.stop()  # type: ignore[no-untyped-call]
        finally:
            self._running.discard(self)
            self._loop = None
        if cancelled:
            raise cancelled
        if self._executor.abandoned and self.install_signal_handlers:
            self._leave()
        if self._finisher.backlog and self.install_signal_handlers:
            raise SystemExit(UNFINISHED)

    async def end_now(self, why: str) -> None:
        """Stop, and wait until it has; jobs that run are interrupted and given back. From any event loop."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            logger.warning("worker %s stops at once: %s", self.worker_id, why)
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(), loop))

    async def _end(self) -> None:
        self._hurry.set()
        self.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait({self._work_task})

    def problems(self) -> list[str]:
        """What is wrong with this worker now, in words; nothing if all is well."""
        problems = [self._lease.problem] if self._lease.problem else []
        if self._claims.in_doubt:
            problems.append("claiming: the database is away")
        if self._finisher.in_doubt:
            problems.append(f"{self._finisher.backlog} finished jobs are not written: the database is away")
        return problems + [f"{job} does not end" for job in sorted(self._executor.abandoned)]

    async def _run(self) -> None:
        handlers = on_stop(self.stop, self._hurry.set) if self.install_signal_handlers else contextlib.nullcontext()
        with serve(self._health, self.problems), handlers:
            # a signal must end the wait for a database that is away
            if not await unless(self._stop_event, self._lease.register()):
                return
            self.worker_id = self._lease.worker_id
            self._lanes[:] = [self._lane(each, slots) for each, slots in self._shares()]
            sides = [asyncio.create_task(loop, name=name) for name, loop in self._side_loops().items()]
            logger.info(
                "worker %s started, %s slots on %s", self.worker_id, self.concurrency, self._queues or "all queues"
            )
            try:
                await self._work()
            finally:
                await self._shut_down(sides)

    def _side_loops(self) -> dict[str, Coroutine[Any, Any, None]]:
        rescuer = Rescuer(self._chores.run, self._lease.seconds, self._max_crashes, lambda: self._lease.steady_for)
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "finisher": self._finisher.run,
            "lease": self._renew_lease,
            "progress": self._board.run,
            "rescuer": rescuer.run,
            "expirer": Expirer(self._chores.run).run,
            "scheduler": self._scheduler.run,
            "upkeep": self._upkeep,
            "aborts": self._ears.watch_aborts,
            "rate": self._tell_rate,
        }
        if self.listen_notify:
            loops["listener"] = self._ears.listener(self._connect_directly, self._queues)
        sides = {name: supervise(name, loop, outage=self._chores.outage) for name, loop in loops.items()}
        return {
            **sides,
            "periodic": supervise("periodic", self._periodic_deferrer, endless=False, outage=self._chores.outage),
        }

    async def _work(self) -> None:
        lanes = [
            asyncio.create_task(
                supervise("lane", partial(lane.run, forever=self.wait), endless=False, outage=self._chores.outage)
            )
            for lane in self._lanes
        ]
        stopped: asyncio.Future[Any] = asyncio.create_task(self._stop_event.wait())
        all_over: asyncio.Future[Any] = asyncio.gather(*lanes)
        await asyncio.wait({all_over, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for lane in self._lanes:
            lane.stop()
        if not all_over.done():
            # a lane may wait for a database that is away; what a claim took meanwhile is found again by the rescuers
            await asyncio.wait({all_over}, timeout=GOODBYE_SECONDS)
        for task in (stopped, *lanes):
            task.cancel()
        await asyncio.gather(all_over, return_exceptions=True)

    async def _shut_down(self, sides: list[asyncio.Task[None]]) -> None:
        """Let what runs end, for ``shutdown_graceful_timeout`` seconds; give back the rest; write everything down."""
        self._stop_event.set()
        await let_end(self._lanes, self._hurry, self.shutdown_graceful_timeout)
        if any(side.get_name() == "finisher" and (side.done() or side.cancelling()) for side in sides):
            # asyncio.run() cancels everything at once when its own coroutine has ended
            sides.append(asyncio.create_task(self._finisher.run()))
        await write_down(self._finisher, self._hurry)
        await self._lease.stop()
        for side in sides:
            side.cancel()
        await asyncio.gather(*sides, return_exceptions=True)
        await self._executor.close()
        with contextlib.suppress(*LOST):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._chores.run("unregister_worker", worker_id=self._lease.worker_id)
        for link in (self._claims.link, self._finishes, self._chores):
            await link.close()
        logger.info("worker %s stopped", self.worker_id)
        self.worker_id = None

    def _leave(self) -> None:
        """asyncio.run() would wait for ever for a coroutine that refuses to be cancelled."""
        logger.error("leaving %s behind, exit code %d", ", ".join(sorted(self._executor.abandoned)), UNFINISHED)
        logging.shutdown()
        os._exit(UNFINISHED)

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
            ),
            self._executor,
            self._finisher,
            self._lease,
            slots,
            self._longest_pause,
            self._claims,
            self._sleep,
            self._pauses,
        )

    def _deletes(self, status: str) -> bool:
        successful = self.delete_jobs is jobs.DeleteJobCondition.SUCCESSFUL and status == jobs.Status.SUCCEEDED.value
        return successful or self.delete_jobs is jobs.DeleteJobCondition.ALWAYS

    async def _ask(self, statement: str, claimed: Claimed) -> bool:
        """Whether the job is still ours, by one of the statements that say so."""
        params = {"id": claimed.id, "worker_id": claimed.owner, "token": claimed.token}
        return bool(await persist(self._asking, lambda: self._finishes.run(statement, **params)))

    async def _is_steady(self, seconds: float) -> bool:
        link = self._claims.link
        try:
            ((uptime,),) = await link.run("read_uptime")
        except (*LOST, psycopg.Error):
            return False
        # asked on a connection that is older than that: one made since says nothing of the time before
        return link.age > seconds and uptime > seconds

    def _is_busy(self) -> bool:
        return any(lane.waiting for lane in self._lanes)

    def _known(self) -> set[int]:
        known = set(self._finisher.unwritten)
        for lane in self._lanes:
            known |= lane.known
        return known

    def _on_unlock(self) -> None:
        for lane in self._lanes:
            lane.claimer.unlock()
            lane.ring()

    def _on_lease_lost(self) -> None:
        self._lease_lost.set()

    async def _renew_lease(self) -> None:
        while True:
            await self._lease_lost.wait()
            async with self._claims.turn:
                logger.error("worker %s was taken for dead: it drops its jobs and registers anew", self.worker_id)
                for lane in self._lanes:
                    lane.drop()
                await self._lease.register()
                self.worker_id = self._lease.worker_id
                self._sleep.forget()
                self._lease_lost.clear()
            logger.warning("worker %s goes on", self.worker_id)

    async def _tell_rate(self) -> None:
        before = 0
        while True:
            await asyncio.sleep(RATE_SECONDS)
            ended = sum(lane.ended for lane in self._lanes)
            if ended > before:
                logger.info("%d jobs in %.0f s, %.0f/s", ended - before, RATE_SECONDS, (ended - before) / RATE_SECONDS)
            before = ended
