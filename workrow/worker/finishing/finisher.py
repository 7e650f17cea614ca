"""Write down how jobs ended, many at a time."""

import asyncio
from collections.abc import Callable
from functools import partial

from workrow.database.link import Link, persist
from workrow.logs import get_logger
from workrow.worker.finishing.attempts import Attempts
from workrow.worker.lease import Lease
from workrow.worker.outcome import Claimed, Outcome

logger = get_logger(__name__)

BATCH = 1000
BATCH_CHARACTERS = 16 * 1024 * 1024
"""So much of results in one statement, unless it is a single one: at 1 GB PostgreSQL would end the connection."""
TICK_SECONDS = 0.01
"""While there is more to run, outcomes are gathered for so long: commits of a few jobs each cost more."""
SHOWN = 10
"""So many finishes that wait are told one by one: an upgrade that holds the table holds all of them."""
AGAIN_SECONDS = 1.0
"""How long an outcome waits whose row somebody else holds, or that PostgreSQL refuses for a reason that may pass."""
REFUSALS = 3
"""So often refused, in about as many seconds, an end is no longer waited for."""


class Finisher:
    """Buffers outcomes and flushes them: at once when idle, and all that came meanwhile after the flush before.

    Args:
        links: where the statements run, and apart from them those that somebody's open transaction may hold up.
        lease: whose jobs they must be.
        worker: the worker's name, for the history.
        max_crashes: so many crashes put a job into quarantine.
        deletes: whether a job that ended with this status is deleted instead of kept.
        busy: whether more outcomes will follow at once.
        unlocked: called with jobs that have ended and that others may have waited for.

    Attributes:
        unwritten: the ids of the jobs whose ends are not written yet.
        held: those of them that could not be written, and are tried again apart from the others.
    """

    def __init__(
        self,
        links: tuple[Link, Link],
        lease: Lease,
        worker: str | None,
        max_crashes: int,
        deletes: Callable[[str], bool],
        busy: Callable[[], bool],
        unlocked: Callable[[list[Claimed]], None],
    ) -> None:
        self._refusals: dict[int, int] = {}
        self._attempts = Attempts(links[0], lease, worker, max_crashes, deletes, self._refusals)
        self._aside = Attempts(links[1], lease, worker, max_crashes, deletes, self._refusals)
        self._busy = busy
        self._unlocked = unlocked
        self._buffer: list[Outcome] = []
        self.held: list[Outcome] = []
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.unwritten: set[int] = set()

    def add(self, outcome: Outcome) -> None:
        """Take an outcome; it is written soon."""
        if outcome.written:
            if outcome.claimed.unlocks:
                self._unlocked([outcome.claimed])
            return
        self._buffer.append(outcome)
        self.unwritten.add(outcome.claimed.id)
        if not self._wake.is_set():
            self._wake.set()
            self._empty.clear()

    @property
    def in_doubt(self) -> bool:
        """The last attempt to write ended with a lost connection; it may have taken effect unheard."""
        return self._attempts.in_doubt or self._aside.in_doubt

    @property
    def backlog(self) -> int:
        """How many outcomes are not written yet."""
        return len(self.unwritten)

    @property
    def refused(self) -> int:
        """How many of them the database refuses again and again."""
        return sum(times >= REFUSALS for times in self._refusals.values())

    def aside(self) -> list[tuple[str, str, int | None]]:
        """What it could not write, for `workrow.maintenance.aside.Aside`."""
        return [("job", str(each.claimed.id), self._aside.holders.get(each.claimed.id)) for each in self.held]

    async def drained(self) -> None:
        """Wait until every outcome is written, but for those that the database refuses again and again."""
        await self._empty.wait()

    def refuse(self, outcome: Outcome) -> None:
        """Count a finish that is not written, for the job is no longer ours."""
        self._attempts.refuse(outcome)

    async def run(self) -> None:
        """Flush until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._flush())
            group.create_task(self._try_held())

    async def _flush(self) -> None:
        while True:
            await self._wake.wait()
            if len(self._buffer) < BATCH and self._busy():
                await asyncio.sleep(TICK_SECONDS)
            batch = _first(self._buffer)
            self._buffer = self._buffer[len(batch) :]
            try:
                held = await persist("finishing jobs", partial(self._attempts.write, batch))
            except BaseException:
                self._buffer = batch + self._buffer
                raise
            self._attempts.over()
            for outcome in held[:SHOWN]:
                logger.warning("%s: its finish waits: an open transaction holds its row or its key", outcome.claimed)
            if len(held) > SHOWN:
                logger.warning("the finishes of %d more jobs wait as well", len(held) - SHOWN)
            self.held += held
            self._written(batch, held)

    async def _try_held(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            if batch := _first(self.held):
                left = await persist("finishing jobs", partial(self._aside.write_free, batch))
                self._aside.over()
                self.held = self.held[len(batch) :] + left
                self._written(batch, left)

    def _written(self, batch: list[Outcome], left: list[Outcome]) -> None:
        self.unwritten.difference_update(outcome.claimed.id for outcome in batch)
        self.unwritten.update(outcome.claimed.id for outcome in left)
        if unlocking := [outcome.claimed for outcome in batch if outcome.claimed.unlocks]:
            self._unlocked(unlocking)
        if not self._buffer:
            self._wake.clear()
        if self._refusals:
            for job_id in self._refusals.keys() - self.unwritten:
                del self._refusals[job_id]
        if all(self._refusals.get(job_id, 0) >= REFUSALS for job_id in self.unwritten):
            self._empty.set()


def _first(outcomes: list[Outcome]) -> list[Outcome]:
    """As many as go into one batch."""
    batch = outcomes[:BATCH]
    while len(batch) > 1 and sum([len(each.result or each.sequel or "") for each in batch]) > BATCH_CHARACTERS:
        batch = batch[: len(batch) // 2]
    return batch
