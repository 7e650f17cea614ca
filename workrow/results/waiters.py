"""One thread that waits for the ends of jobs, for everybody in this process who does."""

import asyncio
import contextlib
import threading
import time
import uuid
from concurrent.futures import Future, InvalidStateError
from functools import partial

import psycopg
from procrastinate.exceptions import AppNotOpen

from workrow.database import forks
from workrow.database.held import Held
from workrow.database.link import Connect, Link, Row, persist
from workrow.database.listener import Listener
from workrow.database.outage import Outage
from workrow.database.privileges import refused
from workrow.database.supervision import supervise
from workrow.errors import JobNotFound
from workrow.logs import get_logger

logger = get_logger(__name__)

CHANNEL = "workrow_ended"
FIRST_PAUSE, PAUSE_GROWTH = 0.005, 2.0
"""Seconds: how soon it looks again for a new waiter, and how much later each next time."""
POLL_SECONDS = 0.25
"""The longest time between two looks where nothing can be heard."""
CHECK_SECONDS = 2.0
"""The same where it can: for what a notification missed, and for jobs that are deleted when they end."""
SPACING_SECONDS, SPACING_EACH = 0.002, 0.00001
"""The shortest time between two looks, and how much longer it is for each waiter: a look at 1,000 jobs takes 2 ms, and
where jobs end all the time that is a seventh of one core."""
REGISTERED_SECONDS = 60.0
"""How long a process that died goes on being notified."""
IDLE_SECONDS = 10.0
"""With nobody waiting, the connections are kept for so long."""
UNSEEN_SECONDS = 30.0
"""Who waits without a timeout for a job that cannot be seen hears of it after so long."""
CLOSE_SECONDS = 5.0


class Waiter:
    """Somebody who waits for the end of one job.

    Args:
        job_id: the job.
        timeout: seconds after which it gives up by itself; 0, after the first look; None, never.

    Attributes:
        future: the row of ``read_ends.sql``, with JSON as text.
        seen: whether the job was there at the last look; None before the first.
    """

    __slots__ = ("future", "job_id", "seen", "since", "timeout")

    def __init__(self, job_id: int, timeout: float | None) -> None:
        self.job_id = job_id
        self.timeout = timeout
        self.future: Future[Row] = Future()
        self.seen: bool | None = None
        self.since = time.monotonic()

    def tell(self, end: Row | Exception) -> None:
        """Give it the end, or the reason why there will be none."""
        with contextlib.suppress(InvalidStateError):  # it has given up meanwhile
            if isinstance(end, Exception):
                self.future.set_exception(end)
            else:
                self.future.set_result(end)


class Waiters:
    """Who waits in this process. From any thread; a thread of its own is started by the first waiter.

    Args:
        connect: makes a connection in autocommit mode.
        connect_directly: makes one that bypasses a pooler, to listen on.
    """

    def __init__(self, connect: Connect, connect_directly: Connect) -> None:
        self._connect = connect
        self._connect_directly = connect_directly
        self.after_fork()
        forks.forget_in_children(self)

    def after_fork(self) -> None:
        """The thread lives in the parent, and one that forked meanwhile may have held the lock."""
        self._lock = threading.Lock()
        self._watch: _Watch | None = None

    def waiter(self, job_id: int, timeout: float | None) -> Waiter:
        """Wait for a job's end, until the waiter's future is done or cancelled."""
        waiter = Waiter(job_id, timeout)
        with self._lock:
            # its thread ends when it is idle
            if self._watch is None or not self._watch.take(waiter):
                self._watch = _Watch(self._connect, self._connect_directly)
                self._watch.take(waiter)
        return waiter

    def close(self) -> None:
        """End the thread, and close its connections; who still waits hears of it. Another waiter starts it again."""
        with self._lock:
            watch, self._watch = self._watch, None
        if watch:
            watch.close()


class _Watch:
    """One life of the thread: an event loop, a connection that looks, and one that listens."""

    def __init__(self, connect: Connect, connect_directly: Connect) -> None:
        self._link = Link(connect, json_loads=lambda text: text)  # the result is read as its app reads JSON
        self._hearing = Outage("listening for results")
        self._listener = Listener(connect_directly, [CHANNEL], self._on_ended, self._on_ready, self._on_deaf)
        self._id = str(uuid.uuid4())
        self._lock = threading.Lock()
        self._new: list[Waiter] = []
        self._over = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._rung = asyncio.Event()
        self._waiters: dict[int, list[Waiter]] = {}
        self._hears = False
        self._registered_until = 0.0
        self._ended = False
        self._pause, self._next = FIRST_PAUSE, 0.0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="workrow-waiting", daemon=True)
        self._thread.start()

    def take(self, waiter: Waiter) -> bool:
        """Add one; False if this thread is no more."""
        with self._lock:
            if self._over or not self._thread.is_alive():
                return False
            self._new.append(waiter)
            if self._loop:
                self._loop.call_soon_threadsafe(self._ring)
        return True

    def close(self) -> None:
        with self._lock:
            self._over = True
            if self._loop and self._task and self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(CLOSE_SECONDS)

    async def _run(self) -> None:
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            closed = self._over
        listening = asyncio.create_task(supervise("waiting for results", self._listen))
        problem: Exception = AppNotOpen("the app was closed while its results were waited for")
        try:
            if not closed:
                await self._serve()
        except asyncio.CancelledError:
            pass
        except Exception as error:
            logger.exception("waiting for results failed")
            problem = error
        finally:
            with self._lock:
                self._over, self._loop = True, None
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            self._accept()
            self._tell_all(problem)
            if self._registered_until:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await self._link.run("stop_waiting", listener=self._id)
            await self._link.close()

    async def _serve(self) -> None:
        while True:
            self._rung.clear()
            new = self._accept()
            if not self._waiters:
                if await self._idle():
                    return
                continue
            now = time.monotonic()
            if new and not self._registered:
                self._pause, self._next = FIRST_PAUSE, now
            everybody = self._ended or now >= self._next
            ids = list(self._waiters) if everybody else new
            if everybody:
                self._ended, self._next = False, now + self._pause
                self._pause = min(CHECK_SECONDS if self._hears else POLL_SECONDS, self._pause * PAUSE_GROWTH)
            if ids:
                try:
                    await persist("waiting for results", partial(self._look, ids))
                except Held:
                    self._next = now  # everybody again, in a moment
                except psycopg.Error as error:
                    self._tell_all(refused(error, "producer") or error)  # such as a schema that is not there
                    continue
                await asyncio.sleep(SPACING_SECONDS + SPACING_EACH * len(ids))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._next):  # a loop's clock is the monotonic one
                    await self._rung.wait()

    async def _idle(self) -> bool:
        """Nobody waits; whether that remains so."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS):
                while not self._new:  # jobs that nobody waits for ring too
                    await self._rung.wait()
                    self._rung.clear()
                return False
        with self._lock:
            self._over = not self._new
        return self._over

    @property
    def _registered(self) -> bool:
        """Whether the end of every job that is looked at from now on will be heard of."""
        return self._hears and self._registered_until > 0

    def _accept(self) -> list[int]:
        """Take the new ones in, and let go who has given up; the ids of the new ones' jobs."""
        with self._lock:
            new, self._new = self._new, []
        for waiter in new:
            self._waiters.setdefault(waiter.job_id, []).append(waiter)
        for job_id, waiters in list(self._waiters.items()):
            patient = [waiter for waiter in waiters if not waiter.future.done()]
            if patient:
                self._waiters[job_id] = patient
            else:
                del self._waiters[job_id]
        return [waiter.job_id for waiter in new]

    async def _look(self, ids: list[int]) -> None:
        now = time.monotonic()
        if self._hears and now > self._registered_until - REGISTERED_SECONDS / 2:
            await self._link.run("start_waiting", listener=self._id, seconds=REGISTERED_SECONDS)
            self._registered_until = now + REGISTERED_SECONDS
        rows = await self._link.run("read_ends", ids=ids)
        absent = {row[0]: row for row in rows}
        for job_id in ids:
            for waiter in self._waiters.get(job_id, ()):
                self._tell(waiter, absent.get(job_id))
                if waiter.timeout == 0:
                    waiter.tell(TimeoutError())

    @staticmethod
    def _tell(waiter: Waiter, row: Row | None) -> None:
        """What the look has found: no row, it goes on; a row without a status, it is not there."""
        if row is None:
            waiter.seen = True
        elif row[1] is not None:
            waiter.tell(row)
        elif waiter.seen:
            waiter.tell(JobNotFound(f"job {row[0]} is gone: it was deleted when it ended (delete_jobs)"))
        else:
            waiter.seen = False
            if waiter.timeout is None and time.monotonic() - waiter.since > UNSEEN_SECONDS:
                waiter.tell(
                    JobNotFound(
                        f"job {row[0]} cannot be seen: its transaction has not committed for "
                        f"{UNSEEN_SECONDS:g} s, or was rolled back; or its history was dropped, or it never existed"
                    )
                )

    def _tell_all(self, problem: Exception) -> None:
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.tell(problem)
        self._waiters.clear()

    async def _listen(self) -> None:
        try:
            await persist(self._hearing, self._listener.run)
        finally:
            self._hears = False

    def _on_ready(self) -> None:
        self._hearing.over()
        # a server that crashed has forgotten who waits; and who ended a job just now may not have seen us yet
        self._hears, self._registered_until = True, 0.0
        self._pause, self._next = FIRST_PAUSE, 0.0
        self._ring()

    def _on_ended(self, _: str) -> None:
        self._ended = True
        self._ring()

    def _on_deaf(self) -> None:
        self._hearing.over()
        self._hears = False

    def _ring(self) -> None:
        self._rung.set()
