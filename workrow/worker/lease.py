"""The lease: what makes the jobs that this worker claimed its own, and the heartbeats that keep it."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from workrow.database import clock
from workrow.database.held import AGAIN_SECONDS, Held
from workrow.database.link import Connect, Link, persist
from workrow.database.outage import LOST as DATABASE_AWAY
from workrow.database.outage import Outage, told
from workrow.logs import get_logger

logger = get_logger(__name__)

BEATS = 4
"""Heartbeats in the time of one lease: three may be lost."""


class Lease:
    """A row in ``procrastinate_workers`` that lives while this worker does.

    The heart beats in a thread with an event loop and a connection of its own, so that neither a task that blocks the
    worker's loop nor a full pool stops it. Only code that holds the GIL for longer than the lease does.

    Args:
        connect: makes a connection in autocommit mode.
        seconds: without a heartbeat for so long, others take this worker for dead.
        interval: seconds between two heartbeats.
        on_lost: called, in the event loop of `register`, when the row is gone.
        **described: what the worker says of itself, see ``register_worker.sql``.
    """

    def __init__(
        self, connect: Connect, seconds: float, interval: float, on_lost: Callable[[], None], **described: Any
    ) -> None:
        self.seconds = seconds
        self.interval = min(interval, seconds / BEATS)
        self.refused = 0
        self.problem: str | None = None
        self._connect = connect
        self._on_lost = on_lost
        self._described = described
        self._worker_id: int | None = None
        self._beaten_at = 0.0
        self._steady_since: float | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._stopping = False
        self._outage = Outage("heartbeats")
        self._heart: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    @property
    def worker_id(self) -> int:
        """The worker's id; a new one after each time the lease was lost."""
        assert self._worker_id is not None
        return self._worker_id

    @property
    def valid(self) -> bool:
        """Whether nobody can have taken this worker for dead yet, as far as its own clock knows."""
        return clock.steady() - self._beaten_at < self.seconds

    @property
    def steady_for(self) -> float:
        """Seconds for which every heartbeat has arrived."""
        return 0.0 if self._steady_since is None or not self.valid else clock.steady() - self._steady_since

    @property
    def sign_of_life(self) -> dict[str, Any]:
        """The parameters of ``update_heartbeat.sql``."""
        return {"worker_id": self._worker_id, "refused": self.refused, "stopping": self._stopping}

    async def register(self) -> None:
        """Take a new lease; waits for a database that is away, and for an upgrade that holds the tables."""
        link = Link(self._connect)
        began = clock.steady()

        async def attempt() -> int:
            nonlocal began
            began = clock.steady()
            rows = await link.run("register_worker", lease=self.seconds, **self._described)
            return int(rows[0][0])

        try:
            while True:
                try:
                    self._worker_id = await persist("registering", attempt)
                    break
                except Held as error:
                    logger.info("registering waits: %s", told(error))
                    await asyncio.sleep(AGAIN_SECONDS)
        finally:
            await link.close()
        self._beaten_at = self._steady_since = began
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(
                target=lambda: asyncio.run(self._live(loop)), name="workrow-heart", daemon=True
            )
            self._thread.start()

    async def describe(self, run: Callable[..., Awaitable[Any]], **described: Any) -> None:
        """Say something else of the worker from now on; ``run`` runs the statement."""
        self._described |= described
        told = {key: self._described[key] for key in ("queues", "concurrency")}
        await run("describe_worker", worker_id=self._worker_id, **told)

    def announce_stop(self) -> None:
        """Tell the database, with a heartbeat at once, that this worker stops: whatever kills it from now on is no job.

        From any thread, and from a signal handler.
        """
        self._stopping = True
        self._wake()

    async def stop(self) -> None:
        """Stop the heart; the row stays."""
        self._stopped.set()
        self._wake()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, self.interval)

    def _wake(self) -> None:
        if self._heart:
            loop, wake = self._heart
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(wake.set)

    async def _live(self, worker_loop: asyncio.AbstractEventLoop) -> None:
        wake = asyncio.Event()
        self._heart = asyncio.get_running_loop(), wake
        link = Link(self._connect, "SET synchronous_commit = off", timeout=max(1.0, self.seconds / 2))
        while not self._stopped.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.interval if self.problem is None else min(1.0, self.interval)):
                    await wake.wait()
            wake.clear()
            if not self._stopped.is_set():
                await self._beat(link, worker_loop)
        self._outage.forget()
        await link.close()

    async def _beat(self, link: Link, worker_loop: asyncio.AbstractEventLoop) -> None:
        began, worker_id = clock.steady(), self._worker_id
        try:
            rows = await link.run("update_heartbeat", **self.sign_of_life)
        except DATABASE_AWAY as error:
            self._outage.noted(error)
            self._note(f"no heartbeat for {began - self._beaten_at:.0f} s: {told(error)}")
            return
        except Held:
            self._note(f"no heartbeat for {began - self._beaten_at:.0f} s: an open transaction holds the worker's row")
            return
        except Exception:
            self._note("the heartbeat fails")
            logger.exception("the heartbeat failed")
            return
        if self.problem is not None:
            if not self._outage.lasting:
                logger.warning("the heartbeat is back")
            self._outage.over()
            self.problem, self._steady_since = None, began
        elif not self.valid:  # it was stopped, or its machine was suspended
            self._steady_since = began
        if rows:
            self._beaten_at = began
        elif worker_id == self._worker_id:
            self._beaten_at = 0.0
            worker_loop.call_soon_threadsafe(self._lost, worker_id)

    def _note(self, problem: str) -> None:
        if self.problem is None and not self._outage.lasting:
            logger.warning("%s", problem)
        self.problem, self._steady_since = problem, None

    def _lost(self, worker_id: int | None) -> None:
        if worker_id == self._worker_id:
            self._on_lost()
