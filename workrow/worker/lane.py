"""Some queues and so many slots: claims ahead, starts jobs as slots come free, gives back what waits too long."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from workrow.logs import get_logger
from workrow.worker.claiming.claimer import Claimer
from workrow.worker.claiming.pauses import Pauses
from workrow.worker.claiming.sleep import Sleep
from workrow.worker.claiming.stream import Stream
from workrow.worker.claims import Claims
from workrow.worker.finishing.finisher import Finisher
from workrow.worker.lease import Lease
from workrow.worker.outcome import Claimed, Outcome
from workrow.worker.running.executor import Executor, Stop

logger = get_logger(__name__)

PREFETCH_SECONDS = 0.1
"""So much work, at the pace of the last moments, is claimed ahead: enough to hide the round trip of a claim."""
PREFETCH_MAX = 1000
PACE_SECONDS = 0.005
SLOWER_SECONDS = 0.05
"""Seconds: the least to measure a pace over, and the least before it may go down."""
STALE_SECONDS = 0.5
"""What was claimed ahead and waits longer goes back to the table: another worker may have a free slot."""
BACKLOG_MAX = 5000
"""Unwritten outcomes at which claiming pauses, so that a slow disk slows the claims."""
FIRST_PAUSE, PAUSE_GROWTH = 0.005, 4
"""Seconds: how soon a sleeper looks again, and how much later each next time (for what a notification missed)."""
DEAF_POLL_SECONDS = 0.5
"""The longest pause where nothing can be heard of new jobs."""


class Lane:
    """Runs the jobs of some queues, at most ``concurrency`` at a time.

    Args:
        claimer: what claims them.
        executor: what runs them.
        finisher: what writes down how they ended.
        lease: what makes them ours.
        concurrency: slots.
        longest_pause: seconds between two looks while idle.
        claims: lets one lane claim at a time.
        sleep: tells the database whether to notify this worker.
        pauses: what is not to be started now.
        job_ended: called after each job; None: nobody counts.

    Attributes:
        deaf: nothing is heard of new jobs.
    """

    def __init__(
        self,
        claimer: Claimer,
        executor: Executor,
        finisher: Finisher,
        lease: Lease,
        concurrency: int,
        longest_pause: float,
        claims: Claims,
        sleep: Sleep,
        pauses: Pauses,
        job_ended: Callable[[], None] | None,
    ) -> None:
        self.claimer = claimer
        self.running: dict[int, tuple[Claimed, asyncio.Task[None]]] = {}
        self.waiting: deque[Claimed] = deque()
        self._twice: list[Claimed] = []
        self.ended = 0
        self.deaf = False
        self._executor = executor
        self._finisher = finisher
        self._lease = lease
        self._concurrency = concurrency
        self._longest_pause = longest_pause
        self._claims = claims
        self._sleep = sleep
        self._pauses = pauses
        self._job_ended = job_ended
        self._pauses_heeded = 0
        self._holds = 0
        self._prefetch = 0
        self._paced_at, self._paced_ended = time.monotonic(), 0
        self._stream = Stream()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._stopping = False

    @property
    def known(self) -> set[int]:
        """The ids of all jobs that it has claimed and that have not ended."""
        return {*self.running, *(claimed.id for claimed in (*self.waiting, *self._twice))}

    def ring(self) -> None:
        """Something may be there to claim."""
        self._changed.set()

    def stop(self) -> None:
        """Claim and start no more, and give back what has not started."""
        self._stopping = True
        self._give_back()
        self._changed.set()

    def interrupt(self, job_id: int, stop: Stop) -> None:
        """Make a job of this lane end, if it runs here."""
        if job_id in self.running:
            claimed, job = self.running[job_id]
            self._executor.interrupt(claimed, job, stop, lambda: self._abandon(claimed, stop))

    def drop(self) -> None:
        """The lease is lost: everything here belongs to others."""
        for claimed in self.waiting:
            self._finisher.refuse(Outcome(claimed, "lost"))
        self.waiting.clear()
        for job_id in list(self.running):
            self.interrupt(job_id, Stop.LEASE)

    async def run(self, *, forever: bool) -> None:
        """Claim and run jobs until `stop`; or, not ``forever``, until there is none left."""
        pause = FIRST_PAUSE
        while not self._stopping:
            self._changed.clear()
            self._start()
            room = self._room()
            if room <= 0:
                await self._change(STALE_SECONDS / 2)
                self._give_back_stale()
                continue
            if await self._claim(room):
                pause = FIRST_PAUSE
            elif not forever:
                if await self._is_over():
                    return
            elif self._stream.flows():
                await self._change(FIRST_PAUSE)
                self.claimer.look_again()
            elif await self._sleep.fall_asleep():
                self.claimer.look_again()  # what came between the last look and falling asleep
            else:
                due = self.claimer.due_in
                rung = await self._change(pause if due is None else min(pause, max(due, FIRST_PAUSE)))
                longest = min(self._longest_pause, DEAF_POLL_SECONDS) if self.deaf else self._longest_pause
                pause = FIRST_PAUSE if rung else min(longest, pause * PAUSE_GROWTH)
                self.claimer.look_again()
                self._give_back_stale()

    async def _is_over(self) -> bool:
        """With nothing left to claim: wait for what runs, and say whether that was all."""
        idle = not self.running
        if not idle:
            await self._change(STALE_SECONDS)
        await self._finisher.drained()
        self.claimer.look_again()
        return idle and not await self._claim(self._concurrency)

    async def _claim(self, room: int) -> int:
        got = 0

        async def claim() -> None:
            nonlocal got
            holds = self._holds
            claimed = await self.claimer.claim(room)
            got = len(claimed)
            self.waiting.extend(claimed)
            if holds != self._holds:
                self.give_back_limited()  # a claim does not see what is held back while it runs

        await self._claims.run(claim)
        if self._stopping:
            self._give_back()
        else:
            self._give_back_paused()
            self._start()
        if got and self._stream.count(got):
            await self._sleep.wake_up()
        return got

    def _room(self) -> int:
        """How many jobs to claim now."""
        if self._finisher.backlog > BACKLOG_MAX or not self._lease.valid:
            return 0
        self._measure()
        room = self._concurrency - len(self.running) + self._prefetch - len(self.waiting)
        # while there is work to go on with, ask for a good batch or not at all
        return room if not self.waiting or room >= self._prefetch // 2 else 0

    def _measure(self) -> None:
        now = time.monotonic()
        elapsed = now - self._paced_at
        if elapsed < PACE_SECONDS:
            return
        goal = int((self.ended - self._paced_ended) / elapsed * PREFETCH_SECONDS)
        # up at once, down only after a longer time: waiting for a claim is no slower pace
        if goal >= self._prefetch or elapsed >= SLOWER_SECONDS:
            self._prefetch = min(goal, PREFETCH_MAX, self._prefetch * 2 + 8)
            self._paced_at, self._paced_ended = now, self.ended

    def _start(self) -> None:
        if self.waiting and not self._lease.valid:
            return  # others may have them by now: the next heartbeat tells
        while self.waiting and len(self.running) < self._concurrency:
            claimed = self.waiting.popleft()
            if claimed.id in self.running:
                # somebody put the job back while it runs here, and we claimed it again: the first run has lost it
                self.interrupt(claimed.id, Stop.LEASE)
                self._twice.append(claimed)
                continue
            # not by create_task(), whose two frames in Python cost a tenth of a plain job
            self.running[claimed.id] = (claimed, asyncio.Task(self._work(claimed), loop=self._loop))

    async def _work(self, claimed: Claimed) -> None:
        try:
            outcome = await self._executor.run(claimed)
        except BaseException as error:
            held, job = self.running.get(claimed.id, (None, None))
            if held is not claimed:
                return  # abandoned before
            # a GeneratorExit comes from a future, and we go on; or the loop is gone, and we raise it
            if isinstance(error, GeneratorExit) and not _is_current(job):
                raise
            outcome = self._executor.last_resort(claimed, error)
        self._end(claimed, outcome)

    def _abandon(self, claimed: Claimed, stop: Stop) -> None:
        """Give the slot of a task that does not end to others; what it says when it ends is not heard."""
        self._end(claimed, self._executor.stopped(claimed, stop))

    def _end(self, claimed: Claimed, outcome: Outcome) -> None:
        if self.running.get(claimed.id, (None, None))[0] is not claimed:
            return  # abandoned before
        del self.running[claimed.id]
        if self._twice:
            self.waiting.extendleft(self._twice)
            self._twice.clear()
        self.ended += 1
        self._finisher.add(outcome)
        if self._job_ended:
            self._job_ended()
        if self.waiting and not self._stopping:
            self._start()
            if len(self.waiting) > self._prefetch // 2:
                return  # nothing to claim for yet
        self._changed.set()

    async def _change(self, seconds: float) -> bool:
        """Wait until something changes, or for so long; whether it did."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _give_back_paused(self) -> None:
        """What was claimed ahead before a pause goes back."""
        pauses = self._pauses
        if pauses.changes == self._pauses_heeded:
            return
        self._pauses_heeded = pauses.changes
        self._give_back_some([claimed for claimed in self.waiting if pauses.cover(claimed)])

    def give_back_limited(self) -> None:
        """What was claimed ahead under any limit goes back: its next claim sees which one is held back now."""
        self._holds += 1
        self._give_back_some([claimed for claimed in self.waiting if claimed.limited])

    def _give_back_some(self, some: list[Claimed]) -> None:
        for claimed in some:
            self.waiting.remove(claimed)
            self._finisher.add(Outcome(claimed, "todo"))

    def _give_back_stale(self) -> None:
        if self.waiting and time.monotonic() - self.waiting[0].claimed_at > STALE_SECONDS:
            logger.debug("giving back %d jobs that were claimed ahead of slow ones", len(self.waiting))
            self._prefetch = 0
            self._give_back()

    def _give_back(self) -> None:
        self.waiting.extend(self._twice)
        self._twice.clear()
        while self.waiting:
            self._finisher.add(Outcome(self.waiting.popleft(), "todo"))


def _is_current(job: asyncio.Task[None] | None) -> bool:
    try:
        return asyncio.current_task() is job
    except RuntimeError:
        return False
