"""What a worker hears of the database, and what it does then."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from workrow.database.link import Connect, Link, persist
from workrow.database.listener import Listener, job_channels, of_jobs
from workrow.database.outage import Outage
from workrow.maintenance.scheduler import SCHEDULES, Scheduler
from workrow.worker.claiming.pauses import Pauses
from workrow.worker.claiming.sleep import Sleep
from workrow.worker.lane import Lane
from workrow.worker.running.executor import Stop


class Notifications:
    """Hears of new jobs, of changed schedules and of jobs that are to abort.

    Args:
        lanes: what runs the jobs; may be filled later.
        scheduler: what ticks the schedules.
        sleep: tells the database whether to notify this worker.
        pauses: what is not to be started now.
        link: where it asks which jobs are to abort.
        abort_seconds: how often it asks so without having heard of any.
        apart: it listens at another address than everything else uses.
    """

    def __init__(
        self,
        lanes: list[Lane],
        scheduler: Scheduler,
        sleep: Sleep,
        pauses: Pauses,
        link: Link,
        abort_seconds: float,
        *,
        apart: bool = False,
    ) -> None:
        self._lanes = lanes
        self._scheduler = scheduler
        self._sleep = sleep
        self._pauses = pauses
        self._link = link
        self._abort_seconds = abort_seconds
        self._aborts_asked = asyncio.Event()
        self._listens: bool | None = None
        self._notified = True
        self._listener: Listener | None = None
        self._outage = Outage("listening", apart=apart)

    def listener(self, connect: Connect, queues: list[str] | None) -> Callable[[], Awaitable[None]]:
        """What listens until it is cancelled, on a connection to the server itself and to no pooler."""
        listener = self._listener = Listener(
            connect,
            [*job_channels(queues), SCHEDULES],
            self._scheduler.hears(of_jobs(self._on_job, self._on_abort)),
            self._on_ready,
            self._on_deaf,
        )
        return lambda: persist(self._outage, listener.run)

    def listen_to(self, queues: list[str]) -> None:
        """These queues are served from now on; until it listens to new ones, their jobs are found by polling."""
        if self._listener:
            self._listener.add(job_channels(queues))

    async def watch_aborts(self) -> None:
        """Make jobs end that somebody wants to; until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._abort_seconds):
                    await self._aborts_asked.wait()
            self._aborts_asked.clear()
            ids = [job_id for lane in self._lanes for job_id in lane.known]
            for job_id, terminate in await self._link.run("list_aborts", ids=ids) if ids else []:
                for lane in self._lanes:
                    lane.interrupt(job_id, Stop.TERMINATE if terminate else Stop.ABORT)

    def _on_job(self, job_id: int) -> None:
        if not job_id:
            self._sleep.forget()  # a server that crashed has forgotten who sleeps
            self._pauses.look_again()
        for lane in self._lanes:
            if job_id:
                lane.claimer.notify(job_id)
            lane.ring()

    def _on_abort(self, job_id: int) -> None:
        self._aborts_asked.set()

    def _on_ready(self) -> None:
        self._outage.over()
        # what came while nobody listened
        self._on_job(0)
        self._listens = True
        self._heed()

    def _on_deaf(self) -> None:
        self._outage.over()
        self._sleep.possible = False
        self._listens = False
        self._heed()

    def on_notified(self, notified: bool) -> None:
        """Whether the server's queue has room for notifications; without it nothing comes, and others must be
        waited for by polling."""
        self._notified = notified
        self._heed()

    def _heed(self) -> None:
        if self._listens is not None:  # else it was not to listen, or does not yet
            hears = self._listens and self._notified
            self._scheduler.listening(hears)
            for lane in self._lanes:
                lane.deaf = not hears
