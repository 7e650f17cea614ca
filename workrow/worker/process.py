"""The worker: puts the parts together, keeps them going, and stops them in order."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import psycopg
from procrastinate import jobs, signals
from procrastinate.app import App
from procrastinate.job_context import AbortReason

from workrow.maintenance.scheduler import Scheduler
from workrow.worker.claimer import Claimer
from workrow.worker.executor import Executor
from workrow.worker.finisher import Finisher
from workrow.worker.lane import Lane
from workrow.worker.link import LOST, Link, persist
from workrow.worker.listener import Listener
from workrow.worker.upstream import UpstreamWorker

logger = logging.getLogger(__name__)

Connect = Callable[[], Awaitable[psycopg.AsyncConnection]]

POLL_SECONDS = 2.0
"""An idle worker looks so often: together with its heartbeat that is less than a statement a second."""
RATE_SECONDS = 10.0
RESTART_SECONDS = 1.0


class Worker(UpstreamWorker):
    """Runs jobs: claims them in batches, executes them, and moves them to history in batches.

    Args:
        app: the app whose tasks it runs.
        connect: makes a connection in autocommit mode.
        scheduler: ticks the schedules.
        upkeep: the loop that keeps the history in order.
        version: what to say of oneself in ``workrow.workers``.
        queue_concurrency: slots for each queue, instead of ``queues`` and ``concurrency``.
        **options: as `procrastinate.App.run_worker_async`.
    """

    def __init__(
        self,
        app: App,
        *,
        connect: Connect,
        scheduler: Scheduler,
        upkeep: Callable[[], Awaitable[None]],
        version: str,
        queue_concurrency: Mapping[str, int] | None = None,
        **options: Any,
    ) -> None:
        self._longest_pause = options.get("fetch_job_polling_interval", POLL_SECONDS)
        if queue_concurrency:
            options |= {"queues": list(queue_concurrency), "concurrency": sum(queue_concurrency.values())}
        super().__init__(app, **options)
        self._connect = connect
        self._scheduler = scheduler
        self._upkeep = upkeep
        self._version = version
        self._queue_concurrency = queue_concurrency
        self._lanes: list[Lane] = []
        self._claiming = asyncio.Lock()
        self._claims_in_doubt = False
        self._asleep = False

    async def run(self) -> None:
        """Run until `stop`; with ``wait=False`` until no job is left. Cancelling it is a request to stop."""
        self._stop_event.clear()
        self._loop = asyncio.get_running_loop()
        self.run_task = asyncio.current_task()
        work = asyncio.create_task(self._run(), name="worker")
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            self.stop()  # type: ignore[no-untyped-call]
            await work
            raise
        finally:
            self._loop = None

    async def _run(self) -> None:
        self.worker_id = worker_id = await self._register()
        queues = list(self.queues) if self.queues else None
        # a claim that a crash of the server undoes leaves the job ready, so that it need not wait for the disk
        self._claims = Link(self._connect, "SET synchronous_commit = off")
        self._finishes = Link(self._connect)
        self._chores = Link(self._connect, "SET synchronous_commit = off")
        self._executor = Executor(self, self.concurrency)
        self._finisher = Finisher(
            self._finishes, worker_id, self.worker_name, self._deletes, self._is_busy, self._on_unlock
        )
        self._lanes = [self._lane(each, slots) for each, slots in self._shares(queues)]
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "finisher": self._finisher.run,
            "heartbeat": self._beat,
            "scheduler": self._scheduler.run,
            "periodic": self._periodic_deferrer,
            "upkeep": self._upkeep,
            "aborts": self._watch_aborts,
            "rate": self._tell_rate,
        }
        if self.listen_notify:
            listener = Listener(self._connect, queues, self._on_job, self._on_abort)
            loops["listener"] = lambda: persist("listening", listener.run)
        sides = [asyncio.create_task(supervise(name, loop), name=name) for name, loop in loops.items()]
        logger.info("worker %s started, %s slots on %s", worker_id, self.concurrency, queues or "all queues")
        handlers = signals.on_stop(self.stop) if self.install_signal_handlers else contextlib.nullcontext()
        try:
            with handlers:
                await self._work()
        finally:
            await self._shut_down(sides)

    async def _work(self) -> None:
        lanes = [
            asyncio.create_task(supervise("lane", lambda lane=lane: lane.run(forever=self.wait)))  # type: ignore[misc]
            for lane in self._lanes
        ]
        stopped: asyncio.Future[Any] = asyncio.create_task(self._stop_event.wait())
        all_over: asyncio.Future[Any] = asyncio.gather(*lanes)
        await asyncio.wait({all_over, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for lane in self._lanes:
            lane.stop()
        stopped.cancel()
        await all_over

    async def _shut_down(self, sides: list[asyncio.Task[None]]) -> None:
        """Let what runs end, for ``shutdown_graceful_timeout`` seconds; give back the rest; write everything down."""
        self._stop_event.set()
        running = [task for lane in self._lanes for _, task in lane.running.values()]
        if running:
            logger.info("waiting for %d running jobs", len(running))
            await asyncio.wait(running, timeout=self.shutdown_graceful_timeout)
        for lane in self._lanes:
            for job_id in list(lane.running):
                self._interrupt(job_id, AbortReason.SHUTDOWN)
        await asyncio.gather(*(task for lane in self._lanes for _, task in lane.running.values()))
        await self._finisher.drained()
        for side in sides:
            side.cancel()
        await asyncio.gather(*sides, return_exceptions=True)
        self._executor.close()
        with contextlib.suppress(*LOST):
            await self._chores.run("wake_up", worker_id=self.worker_id)
            await self.app.job_manager.unregister_worker(self.worker_id or 0)
        for link in (self._claims, self._finishes, self._chores):
            await link.close()
        logger.info("worker %s stopped", self.worker_id)
        self.worker_id = None

    async def _register(self) -> int:
        await self.app.job_manager.prune_stalled_workers(self.stalled_worker_timeout)
        worker_id = await self.app.job_manager.register_worker()
        link = Link(self._connect)
        await link.run(
            "describe_worker",
            worker_id=worker_id,
            name=self.worker_name,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=list(self.queues) if self.queues else None,
            concurrency=self.concurrency,
            version=self._version,
        )
        await link.close()
        return worker_id

    def _shares(self, queues: list[str] | None) -> Iterable[tuple[list[str] | None, int]]:
        if self._queue_concurrency:
            return [([queue], slots) for queue, slots in self._queue_concurrency.items()]
        return [(queues, self.concurrency)]

    def _lane(self, queues: list[str] | None, slots: int) -> Lane:
        assert self.worker_id is not None
        return Lane(
            Claimer(self._claims, self.worker_id, queues),
            self._executor,
            self._finisher,
            slots,
            self._longest_pause,
            self._guarded,
            self._fall_asleep,
            self._wake_up,
        )

    def _deletes(self, status: str) -> bool:
        successful = self.delete_jobs is jobs.DeleteJobCondition.SUCCESSFUL and status == jobs.Status.SUCCEEDED.value
        return successful or self.delete_jobs is jobs.DeleteJobCondition.ALWAYS

    async def _guarded(self, claim: Callable[[], Awaitable[None]]) -> None:
        """Claim when no other lane does; after a lost connection, first give back what nobody knows was claimed."""

        async def attempt() -> None:
            if self._claims_in_doubt:
                await self._claims.run("release_lost_claims", worker_id=self.worker_id, known=list(self._known()))
                self._claims_in_doubt = False
            try:
                await claim()
            except LOST:
                self._claims_in_doubt = True
                raise

        async with self._claiming:
            await persist("claiming jobs", attempt)

    def _is_busy(self) -> bool:
        return any(lane.waiting for lane in self._lanes)

    def _known(self) -> set[int]:
        known = set(self._finisher.unwritten)
        for lane in self._lanes:
            known.update(lane.running, (claimed.id for claimed in lane.waiting))
        return known

    async def _fall_asleep(self) -> bool:
        if self._asleep or not self.listen_notify:
            return False
        await self._chores.run(
            "fall_asleep", worker_id=self.worker_id, queues=list(self.queues) if self.queues else None
        )
        self._asleep = True
        return True

    async def _wake_up(self) -> None:
        if self._asleep:
            self._asleep = False
            await self._chores.run("wake_up", worker_id=self.worker_id)

    def _on_job(self, job_id: int) -> None:
        for lane in self._lanes:
            if job_id:
                lane.claimer.notify(job_id)
            lane.ring()

    def _on_unlock(self) -> None:
        for lane in self._lanes:
            lane.claimer.unlock()
            lane.ring()

    def _on_abort(self, job_id: int) -> None:
        self._interrupt(job_id, AbortReason.USER_REQUEST)

    def _interrupt(self, job_id: int, reason: AbortReason) -> None:
        for lane in self._lanes:
            if job_id in lane.running and job_id not in self._executor.aborts:
                claimed, task = lane.running[job_id]
                self._executor.aborts[job_id] = reason
                # a task that has not taken its first step sees the request when it does
                if claimed.started_at and self._executor.is_async(claimed):
                    task.cancel()

    async def _watch_aborts(self) -> None:
        while True:
            await asyncio.sleep(self.abort_job_polling_interval)
            ids = [job_id for lane in self._lanes for job_id in lane.running]
            if ids:
                for (job_id,) in await self._chores.run("list_aborts", ids=ids):
                    self._on_abort(job_id)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.update_heartbeat_interval)
            await self._chores.run("update_heartbeat", worker_id=self.worker_id)

    async def _tell_rate(self) -> None:
        before = 0
        while True:
            await asyncio.sleep(RATE_SECONDS)
            ended = sum(lane.ended for lane in self._lanes)
            if ended > before:
                logger.info("%d jobs in %.0f s, %.0f/s", ended - before, RATE_SECONDS, (ended - before) / RATE_SECONDS)
            before = ended


async def supervise(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop; report what ends it unexpectedly, and start it again."""
    while True:
        try:
            return await loop()
        except LOST as error:
            logger.warning("%s: the database is away (%s)", name, " ".join(str(error).split()))
        except Exception:
            logger.exception("%s failed; starting it again", name)
        await asyncio.sleep(RESTART_SECONDS)
