"""Some queues and so many slots: claims ahead, starts jobs as slots come free, gives back what waits too long."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from workrow.worker.ahead import STALE_SECONDS, Ahead
from workrow.worker.claiming.claimer import Claimer
from workrow.worker.claiming.pauses import Pauses
from workrow.worker.claiming.sleep import Sleep
from workrow.worker.claiming.stream import Stream
from workrow.worker.claims import Claims
from workrow.worker.finishing.finisher import Finisher
from workrow.worker.gathering import Gathering
from workrow.worker.lease import Lease
from workrow.worker.outcome import Claimed, Outcome
from workrow.worker.pace import Pace
from workrow.worker.running.batches import Together
from workrow.worker.running.executor import Executor, Stop

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
        concurrency: how many slots.
        longest_pause: seconds between two looks while idle.
        claims: lets one lane claim at a time.
        sleep: tells the database whether to notify this worker.
        pauses: what is not to be started now.
        job_ended: called after each job; None: nobody counts.
        tasks: of the app, by their names and aliases.

    Attributes:
        gathering: what waits for more jobs of its batch.
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
        tasks: Mapping[str, Any],
    ) -> None:
        self.claimer = claimer
        self.running: dict[int, tuple[Claimed, asyncio.Task[None]]] = {}
        self.gathering = Gathering(tasks, self._start)
        self._ahead = Ahead(finisher, pauses, self.gathering)
        self.waiting, self._twice = self._ahead.waiting, self._ahead.twice
        self._beside = 0
        self._pace = Pace()
        self.deaf = False
        self._executor = executor
        self._finisher = finisher
        self._lease = lease
        self.concurrency = concurrency
        self._longest_pause = longest_pause
        self._claims = claims
        self._sleep = sleep
        self._job_ended = job_ended
        self._holds = 0
        self._stream = Stream()
        self._changed = asyncio.Event()
        self._task = partial(asyncio.Task, loop=asyncio.get_running_loop())  # create_task() costs a plain job a tenth
        self._stopping = False

    @property
    def known(self) -> set[int]:
        """The ids of all jobs that it has claimed and that have not ended."""
        return {*self.running, *(claimed.id for claimed in self._ahead.jobs)}

    @property
    def ended(self) -> int:
        """How many jobs it has run."""
        return self._pace.ended

    @property
    def _free(self) -> int:
        """Slots; a batch holds one."""
        return self.concurrency - len(self.running) + self._beside

    def ring(self) -> None:
        """Something may be there to claim."""
        self._changed.set()

    def stop(self) -> None:
        """Claim and start no more, and give back what has not started."""
        self._stopping = True
        self._ahead.give_back()
        self._changed.set()

    def interrupt(self, job_id: int, stop: Stop) -> None:
        """Make a job of this lane end, if it is here."""
        if job_id in self.running:
            claimed, job = self.running[job_id]
            self._executor.interrupt(claimed, job, stop, lambda: self._abandon(claimed, stop))
        else:
            self._ahead.abort(job_id)

    def drop(self) -> None:
        """The lease is lost: everything here belongs to others."""
        self._ahead.refuse()
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
                self.gathering.hurry()
                self._start()
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
        return idle and not await self._claim(self.concurrency)

    async def _claim(self, room: int) -> int:
        got = 0

        async def claim() -> None:
            nonlocal got
            holds = self._holds
            claimed = await self.claimer.claim(room)
            got = len(claimed)
            self.waiting.extend(claimed)
            if self.gathering.tasks:
                self.gathering.count(claimed)
            if holds != self._holds:
                self.give_back_limited()  # a claim does not see what is held back while it runs

        await self._claims.run(claim)
        if self._stopping:
            self._ahead.give_back()
        else:
            self._ahead.give_back_paused()
            self._start()
        if got and self._stream.count(got):
            await self._sleep.wake_up()
        return got

    def _room(self) -> int:
        """How many jobs to claim now."""
        if self._finisher.backlog > BACKLOG_MAX or not self._lease.valid:
            return 0
        prefetch = self._pace.measure()
        room = self._free + prefetch - len(self.waiting) + self.gathering.room(self._free)
        # while there is work to go on with, ask for a good batch or not at all
        return room if not self.waiting or room >= prefetch // 2 else 0

    def _start(self) -> None:
        # the end of a job calls this in its own context
        ready, batched, clean = self.gathering.ready, self.gathering.tasks, self.gathering.context
        if (self.waiting or ready) and not self._lease.valid:
            return  # others may have them by now: the next heartbeat tells
        while (self.waiting or ready) and len(self.running) - self._beside < self.concurrency:
            if ready:
                self._start_together(ready.popleft().jobs)
                continue
            claimed = self.waiting.popleft()
            if claimed.task in batched:
                self.gathering.add(claimed)
            elif claimed.id in self.running:
                self._run_anew(claimed)
            else:
                self.running[claimed.id] = (claimed, self._task(self._work(claimed), context=clean.copy()))

    def _start_together(self, jobs: list[Claimed]) -> None:
        """Run a batch in one slot."""
        new: dict[int, Claimed] = {}
        for claimed in jobs:
            if claimed.id in self.running or claimed.id in new:
                self._run_anew(claimed)
            else:
                new[claimed.id] = claimed
        if new:
            batch = Together(list(new.values()), clean := self.gathering.context)
            self._beside += len(new) - 1
            for claimed in new.values():
                claimed.batch = batch
                self.running[claimed.id] = (claimed, self._task(self._work_in(batch, claimed), context=clean.copy()))

    def _run_anew(self, claimed: Claimed) -> None:
        """Somebody put the job back while it runs here, and we claimed it again: the first run has lost it."""
        self.interrupt(claimed.id, Stop.LEASE)
        self._twice.append(claimed)

    async def _work_in(self, batch: Together, claimed: Claimed) -> None:
        try:
            await self._work(claimed)
        finally:
            batch.not_awaited(claimed)

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
        if claimed.batch and claimed.batch.ended():
            self._beside -= 1
        if self._twice:
            self._ahead.release_twice()
        self._pace.ended += 1
        self._finisher.add(outcome)
        if self._job_ended:
            self._job_ended()
        if self.waiting and not self._stopping:
            self._start()
            if len(self.waiting) > self._pace.prefetch // 2:
                return  # nothing to claim for yet
        self._changed.set()

    def _give_back_stale(self) -> None:
        if self._ahead.give_back_stale():
            self._pace.prefetch = 0

    async def _change(self, seconds: float) -> bool:
        """Wait until something changes, or for so long; whether it did."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def give_back_limited(self) -> None:
        """What was claimed ahead under any limit goes back: its next claim sees which one is held back now."""
        self._holds += 1
        self._ahead.give_back_limited()


def _is_current(job: asyncio.Task[None] | None) -> bool:
    try:
        return asyncio.current_task() is job
    except RuntimeError:
        return False
