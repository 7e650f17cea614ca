"""Write down how jobs ended, many at a time."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import psycopg

from workrow.database.link import Link, persist
from workrow.database.outage import LOST, told
from workrow.job import UNKEPT
from workrow.worker.finishing.writer import RACES, Writer
from workrow.worker.job_logs import type_of
from workrow.worker.lease import Lease
from workrow.worker.outcome import Outcome, entry

logger = logging.getLogger(__name__)

BATCH = 1000
TICK_SECONDS = 0.01
"""While there is more to run, outcomes are gathered for so long: commits of a few jobs each cost more."""
AGAIN_SECONDS = 1.0
"""How long an outcome waits whose row somebody else holds, or that PostgreSQL refuses for a reason that may pass."""

WHY_MAX = 1000
"""Characters of a refusal that the row keeps."""
KEEPS_STATUS = ("succeeded", "aborted")
"""What ended so has ended so, whatever of its row is refused."""

HELD = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.QueryCanceled,
)
"""Somebody holds one of the rows: the connection is well, and the other rows can be written."""


class Finisher:
    """Buffers outcomes and flushes them: at once when idle, and all that came meanwhile after the flush before.

    Args:
        link: where the statements run.
        lease: whose jobs they must be.
        worker: the worker's name, for the history.
        max_crashes: so many crashes put a job into quarantine.
        deletes: whether a job that ended with this status is deleted instead of kept.
        busy: whether more outcomes will follow at once.
        unlocked: called when jobs have ended that others may have waited for.

    Attributes:
        in_doubt: the last attempt to write ended with a lost connection; it may have taken effect unheard.
        unwritten: the ids of the jobs whose ends are not written yet.
    """

    def __init__(
        self,
        link: Link,
        lease: Lease,
        worker: str | None,
        max_crashes: int,
        deletes: Callable[[str], bool],
        busy: Callable[[], bool],
        unlocked: Callable[[], None],
    ) -> None:
        self._lease = lease
        self._writer = Writer(link, worker, max_crashes, deletes)
        self._busy = busy
        self._unlocked = unlocked
        self._buffer: list[Outcome] = []
        self.in_doubt = False
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.unwritten: set[int] = set()

    def add(self, outcome: Outcome) -> None:
        """Take an outcome; it is written soon."""
        if outcome.written:
            if outcome.claimed.unlocks:
                self._unlocked()
            return
        self._buffer.append(outcome)
        self.unwritten.add(outcome.claimed.id)
        if not self._wake.is_set():
            self._wake.set()
            self._empty.clear()

    @property
    def backlog(self) -> int:
        """How many outcomes are not written yet."""
        return len(self.unwritten)

    async def drained(self) -> None:
        """Wait until every outcome is written."""
        await self._empty.wait()

    async def run(self) -> None:
        """Flush until cancelled."""
        while True:
            await self._wake.wait()
            if len(self._buffer) < BATCH and self._busy():
                await asyncio.sleep(TICK_SECONDS)
            batch, self._buffer = self._buffer[:BATCH], self._buffer[BATCH:]
            try:
                postponed = await persist("finishing jobs", partial(self._write, batch))
            except BaseException:
                self._buffer = batch + self._buffer
                raise
            self.in_doubt = False
            self._writer.done.clear()
            self._buffer += postponed
            self.unwritten.difference_update(outcome.claimed.id for outcome in batch)
            self.unwritten.update(outcome.claimed.id for outcome in postponed)
            if any(outcome.claimed.unlocks for outcome in batch):
                self._unlocked()
            if not self._buffer:
                self._wake.clear()
                self._empty.set()
            elif len(postponed) == len(self._buffer):
                await asyncio.sleep(AGAIN_SECONDS)

    async def _write(self, batch: list[Outcome], races: int = RACES) -> list[Outcome]:
        """Write a batch; return what is to be tried again later."""
        batch = self._still_ours(batch)
        if not batch:
            return []
        try:
            await self._write_at_once(batch)
        except HELD as error:
            if len(batch) == 1:
                logger.warning("%s: its finish waits: %s", batch[0].claimed, told(error))
                return batch
        except LOST:
            self.in_doubt = True
            raise
        except Exception as error:
            if isinstance(error, psycopg.errors.CheckViolation) and races:
                # the partition of this day was attached between the statement's plan and its row
                return await self._write(batch, races - 1)
            if len(batch) == 1:
                if isinstance(error, psycopg.errors.UniqueViolation) and races:
                    # a newer job under the same queueing lock was not committed yet when we looked: now it is
                    return await self._write(batch, races - 1)
                return await self._give_up(batch[0], error)
        else:
            return []
        # one outcome that PostgreSQL refuses must not keep the others
        half = len(batch) // 2
        return await self._write(batch[:half]) + await self._write(batch[half:])

    def _still_ours(self, batch: list[Outcome]) -> list[Outcome]:
        """Without what is written; what an earlier lease claimed, with whose row every right to it is gone; and what we
        have claimed once more since.
        """
        ours: dict[int, Outcome] = {}
        owner = self._lease.worker_id
        for outcome in batch:
            claimed = outcome.claimed
            if claimed.owner != owner or outcome.status == "lost":
                self.refuse(outcome)
            elif (other := ours.setdefault(claimed.id, outcome)) is not outcome:
                older, newer = sorted((other, outcome), key=lambda each: each.claimed.token)
                ours[claimed.id] = newer
                self.refuse(older)
        for written in self._writer.done & ours.keys():
            del ours[written]
        return list(ours.values())

    def refuse(self, outcome: Outcome) -> None:
        """Count a finish that is not written, for the job is no longer ours."""
        self._lease.refused += 1
        logger.warning("%s: the finish was refused (%s): the job is no longer ours", outcome.claimed, outcome.status)

    async def _give_up(self, outcome: Outcome, error: Exception) -> list[Outcome]:
        """The row refuses its outcome: keep what can be kept, so that the job does not hang in doing."""
        logger.error("%s: its outcome cannot be stored: %s", outcome.claimed, told(error))
        status = outcome.status if outcome.status in KEEPS_STATUS else "failed"
        kind = UNKEPT if status == "succeeded" else type_of(error)
        why = entry(outcome.claimed, kind, f"its end could not be stored as it was: {told(error)[:WHY_MAX]}")
        try:
            await self._write_at_once([Outcome(outcome.claimed, status, error=why, ended_at=outcome.ended_at)])
        except LOST:
            raise
        except psycopg.Error:
            return [outcome]
        return []

    async def _write_at_once(self, batch: list[Outcome]) -> None:
        await self._writer.write(batch)
        for outcome in batch:
            # after a lost connection the statement may have taken effect unheard
            if outcome.claimed.id not in self._writer.done and not self.in_doubt:
                self.refuse(outcome)
