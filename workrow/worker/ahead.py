"""What a lane has claimed ahead."""

import time
from collections import deque
from collections.abc import Iterable

from workrow.logs import get_logger
from workrow.worker.claiming.pauses import Pauses
from workrow.worker.finishing.finisher import Finisher
from workrow.worker.gathering import Gathering
from workrow.worker.outcome import Claimed, Outcome

logger = get_logger(__name__)

STALE_SECONDS = 0.5
"""What was claimed ahead and waits longer goes back to the table: another worker may have a free slot."""


class Ahead:
    """Jobs that are claimed and not started.

    Args:
        finisher: gives them back.
        pauses: what is not to be started now.
        gathering: those that wait for more jobs of their batch.

    Attributes:
        waiting: for a slot.
        twice: for the end of an earlier run, which has lost the job.
    """

    def __init__(self, finisher: Finisher, pauses: Pauses, gathering: Gathering) -> None:
        self.waiting: deque[Claimed] = deque()
        self.twice: list[Claimed] = []
        self._finisher = finisher
        self._pauses = pauses
        self._pauses_heeded = 0
        self._gathering = gathering

    @property
    def jobs(self) -> list[Claimed]:
        """All of them."""
        return [*self.waiting, *self._gathering.jobs, *self.twice]

    def release_twice(self) -> None:
        """A run has ended: what waits for such an end is looked at again."""
        self.waiting.extendleft(self.twice)
        self.twice.clear()

    def refuse(self) -> None:
        """The lease is lost: they belong to others."""
        for claimed in self._take(self.jobs):
            self._finisher.refuse(Outcome(claimed, "lost"))

    def abort(self, job_id: int) -> None:
        """Somebody has cancelled a job, which may wait for its batch for long: it ends now."""
        for claimed in self._take([each for each in self.jobs if each.id == job_id]):
            claimed.started_at = time.monotonic()
            self._finisher.add(Outcome(claimed, "aborted", ended_at=claimed.started_at))

    def give_back(self) -> None:
        """Nothing more is started."""
        self._give_back(self.jobs)

    def give_back_paused(self) -> None:
        """What was claimed ahead before a pause goes back."""
        pauses = self._pauses
        if pauses.changes != self._pauses_heeded:
            self._pauses_heeded = pauses.changes
            self._give_back(claimed for claimed in self.jobs if pauses.cover(claimed))

    def give_back_limited(self) -> None:
        """What was claimed ahead under any limit goes back: its next claim sees which one is held back now."""
        self._give_back(claimed for claimed in self.jobs if claimed.limited)

    def give_back_stale(self) -> bool:
        """What waits too long for a slot goes back; whether any did."""
        stale = self._gathering.stale(STALE_SECONDS)
        if self.waiting and time.monotonic() - self.waiting[0].claimed_at > STALE_SECONDS:
            stale += self.waiting
        if stale:
            logger.debug("giving back %d jobs that were claimed ahead of slow ones", len(stale))
            self._give_back(stale)
        return bool(stale)

    def _give_back(self, some: Iterable[Claimed]) -> None:
        for claimed in self._take(list(some)):
            self._finisher.add(Outcome(claimed, "todo"))

    def _take(self, some: list[Claimed]) -> list[Claimed]:
        if some:
            gone = set(map(id, some))
            for kept in (self.waiting, self.twice):
                left = [claimed for claimed in kept if id(claimed) not in gone]
                kept.clear()
                kept.extend(left)
            self._gathering.take(gone)
        return some
