"""The worker: puts the parts together, keeps them going, and stops them in order."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from procrastinate.worker import WORKER_NAME

from workrow.configuration import check_slots
from workrow.database import forks
from workrow.database.held import Held
from workrow.database.link import Link
from workrow.database.outage import LOST
from workrow.database.supervision import supervise, unless
from workrow.errors import ConfigurationError
from workrow.logs import get_logger
from workrow.maintenance.clock_steps import ClockSteps
from workrow.maintenance.expirer import Expirer
from workrow.maintenance.rescuer import Rescuer
from workrow.worker.assembly import Assembly
from workrow.worker.living.collector import seldom
from workrow.worker.living.health import serve
from workrow.worker.living.signals import on_stop
from workrow.worker.living.stopping import GOODBYE_SECONDS, let_end, write_down

logger = get_logger(__name__)

UNFINISHED = os.EX_TEMPFAIL
"""The exit code of a worker that had to leave something behind: tasks which did not end, and were given back while they
went on; or finished jobs whose ends could not be written."""


class Worker(Assembly):
    """Runs jobs: claims them in batches, executes them, and moves them to history in batches. Arguments: `Assembly`."""

    async def run(self) -> None:
        """Run until `stop`; with ``wait=False`` until no job is left. Cancelling it is a request to stop.

        Raises:
            ConfigurationError: the app lacks what one of its tasks needs.
            SystemExit: a signal ended it before the ends of all jobs were written.
        """
        self._executor.check()
        self._check_rules()
        self._retirement.check()
        self._stop_event.clear()
        self._loop, self._generation = asyncio.get_running_loop(), forks.generation
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
                    self.stop()
        finally:
            self._running.discard(self)
            self._loop = None
        if cancelled:
            raise cancelled
        if self._executor.abandoned and self.install_signal_handlers:
            self._leave()
        if self._finisher.backlog and self.install_signal_handlers:
            raise SystemExit(UNFINISHED)

    def stop(self) -> None:
        """Ask it to stop; from any thread."""
        self._lease.announce_stop()
        super().stop()  # type: ignore[no-untyped-call]

    async def change(self, *, queues: list[str] | None = None, concurrency: int | None = None) -> None:
        """Serve other queues, or have another number of slots, from now on; what runs goes on.

        Args:
            queues: all that are to be served; the jobs of a new one are found by polling for up to
                `workrow.database.listener.CHECK_SECONDS`.
            concurrency: slots.

        Raises:
            ConfigurationError: it serves all queues, or each with slots of its own.
        """
        if self._queues is None or self._queue_concurrency:
            raise ConfigurationError("a worker of all queues, or with queue_concurrency=, stays as it is")
        if concurrency is not None:
            check_slots("concurrency", concurrency)
            self.concurrency = concurrency
            self._threads.resize(concurrency)
            self._processes.resize(concurrency)
        if queues is not None:
            self._queues[:] = queues  # whoever claims or sleeps for this worker has this list
            self.queues = [*queues]
            self._notifications.listen_to(queues)
            await self._sleep.wake_up()
        for lane in self._lanes:
            lane.concurrency = self.concurrency
            lane.claimer.look_again()
            lane.ring()
        await self._lease.describe(self._chores.run, queues=[*self._queues], concurrency=self.concurrency)

    async def end_now(self, why: str) -> None:
        """Stop, and wait until it has; jobs that run are interrupted and given back. From any event loop."""
        loop = self._loop
        # in a fork the worker is the parent's, and its loop does not run
        if loop is not None and not loop.is_closed() and self._generation == forks.generation:
            logger.warning("%s stops at once: %s", self._shown, why)
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(), loop))

    async def _end(self) -> None:
        self._hurry.set()
        self.stop()
        await asyncio.wait({self._work_task})

    def pid_of(self, job_id: int) -> int:
        """Of the process in which a job runs."""
        return self._processes.pid(job_id) or os.getpid()

    def child_pids(self) -> list[int]:
        """Of the processes for jobs that there are."""
        return self._processes.pids()

    @property
    def jobs_ended(self) -> int:
        """How many jobs it has run."""
        return sum(lane.ended for lane in self._lanes)

    @property
    def lease(self) -> float:
        """Seconds of its lease."""
        return self._lease.seconds

    @property
    def lease_is_over(self) -> bool:
        """Whether its heartbeats have not arrived for a lease, as far as its own clock knows."""
        return not self._lease.valid

    @property
    def _shown(self) -> str:
        """By the name that its records have, and the id that its rows have."""
        named = self.worker_name not in (None, WORKER_NAME)
        return f"{self.worker_name}, worker {self.worker_id}" if named else f"worker {self.worker_id}"

    def problems(self) -> list[str]:
        """What is wrong with this worker now, in words; nothing if all is well."""
        problems = [self._lease.problem] if self._lease.problem else []
        if self._claims.in_doubt:
            problems.append("claiming: the database is away")
        if self._finisher.in_doubt:
            problems.append(f"{self._finisher.backlog} finished jobs are not written: the database is away")
        return problems + [f"{job} does not end" for job in sorted(self._executor.abandoned)]

    def warnings(self) -> list[str]:
        """What is wrong around this worker, which goes on in spite of it."""
        found = [self._notify_queue.warning] if self._notify_queue.warning else []
        if refused := self._finisher.refused:
            found.append(f"{refused} finished jobs cannot be written: the database refuses their ends, as the log says")
        return [*found, *self._periodic_problems.values(), *self._scheduler.problems.values()]

    async def _run(self) -> None:
        with contextlib.ExitStack() as around:
            around.enter_context(serve(self._health, self.problems, self.warnings))
            if self.install_signal_handlers:  # the process is ours
                around.enter_context(on_stop(self.stop, self._hurry.set, at_once=self._lease.announce_stop))
                around.enter_context(seldom())
            around.enter_context(self._watchdog.watching())
            # a signal must end the wait for a database that is away
            if not await unless(self._stop_event, self._lease.register()):
                return
            self.worker_id = self._lease.worker_id
            self._scheduler.works_for(self.worker_id)
            self._lanes[:] = [self._lane(each, slots) for each, slots in self._shares()]
            sides = [asyncio.create_task(loop, name=name) for name, loop in self._side_loops().items()]
            logger.info("%s started, %s slots on %s", self._shown, self.concurrency, self._queues or "all queues")
            try:
                await self._lanes.run(self._stop_event, self._chores.outage, forever=self.wait)
            finally:
                await self._shut_down(sides)

    def _side_loops(self) -> dict[str, Coroutine[Any, Any, None]]:
        rescuer = Rescuer(self._chores.run, self._lease.seconds, self._max_crashes, lambda: self._lease.steady_for)
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "finisher": self._finisher.run,
            "lease": self._renew_lease,
            "progress": self._progress_writer.run,
            "rescuer": rescuer.run,
            "expirer": Expirer(self._chores.run).run,
            "scheduler": self._scheduler.run,
            "clock_steps": ClockSteps(self._chores.run, self._scheduler.wake).run,
            "upkeep": partial(self._upkeep, Link(self._connect_for("upkeep"))),
            "connections": self._connections.rest,
            "aborts": self._notifications.watch_aborts,
            "aside": self._aside.run,
            "notify_queue": self._notify_queue.run,
            "rate": self._lanes.log_rate,
        }
        if self.listen_notify:
            connect = partial(self._connect_directly, purpose=f"listening {self.worker_name}")
            loops["listener"] = self._notifications.listener(connect, self._queues)
        sides = {name: supervise(name, loop, outage=self._chores.outage) for name, loop in loops.items()}
        return {
            **sides,
            "periodic": supervise("periodic", self._periodic_deferrer, endless=False, outage=self._chores.outage),
        }

    async def _shut_down(self, sides: list[asyncio.Task[None]]) -> None:
        """Let what runs end, for ``shutdown_graceful_timeout`` seconds; give back the rest; write everything down."""
        self._stop_event.set()
        grace = self.shutdown_graceful_timeout
        until = None if grace is None else asyncio.get_running_loop().time() + grace
        await let_end(self._lanes, self._hurry, grace)
        if any(side.get_name() == "finisher" and (side.done() or side.cancelling()) for side in sides):
            # asyncio.run() cancels everything at once when its own coroutine has ended
            sides.append(asyncio.create_task(self._finisher.run()))
        await write_down(self._finisher, self._hurry, until)
        await self._lease.stop()
        for side in sides:
            side.cancel()
        await asyncio.gather(*sides, return_exceptions=True)
        await self._executor.close()
        with contextlib.suppress(*LOST, Held):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._chores.run("unregister_worker", worker_id=self._lease.worker_id)
        await self._connections.close()
        logger.info("%s stopped", self._shown)
        self.worker_id = None

    def _leave(self) -> None:
        """asyncio.run() would wait for ever for a coroutine that refuses to be cancelled."""
        logger.error("leaving %s behind, exit code %d", ", ".join(sorted(self._executor.abandoned)), UNFINISHED)
        logging.shutdown()
        os._exit(UNFINISHED)

    async def _renew_lease(self) -> None:
        while True:
            await self._lease_lost.wait()
            async with self._claims.turn:
                logger.error("%s was taken for dead: it drops its jobs and registers anew", self._shown)
                self._lanes.drop()
                await self._lease.register()
                self.worker_id = self._lease.worker_id
                self._scheduler.works_for(self.worker_id)
                self._sleep.forget()
                self._lease_lost.clear()
            logger.warning("%s goes on", self._shown)
