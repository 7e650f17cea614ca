"""Write down how jobs ended, many at a time."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
from procrastinate import utils

from workrow.worker.link import Link, persist
from workrow.worker.outcome import Outcome

logger = logging.getLogger(__name__)

BATCH = 1000
TICK_SECONDS = 0.01
"""While there is more to run, outcomes are gathered for so long: commits of a few jobs each cost more."""


class Finisher:
    """Buffers outcomes and flushes them: at once when idle, and all that came meanwhile after the flush before.

    Args:
        link: where the statements run.
        worker_id: whose jobs they must be.
        worker: the worker's name, for the history.
        deletes: whether a job that ended with this status is deleted instead of kept.
        busy: whether more outcomes will follow at once.
        unlocked: called when jobs with locks have ended.
    """

    def __init__(
        self,
        link: Link,
        worker_id: int,
        worker: str | None,
        deletes: Callable[[str], bool],
        busy: Callable[[], bool],
        unlocked: Callable[[], None],
    ) -> None:
        self._link = link
        self._owner: dict[str, Any] = {"worker_id": worker_id}
        self._worker = worker
        self._deletes = deletes
        self._busy = busy
        self._unlocked = unlocked
        self._buffer: list[Outcome] = []
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.unwritten: set[int] = set()

    def add(self, outcome: Outcome) -> None:
        """Take an outcome; it is written soon."""
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
            await persist("finishing jobs", lambda batch=batch: self._write(batch))  # type: ignore[misc]
            self.unwritten.difference_update(outcome.claimed.id for outcome in batch)
            if any(outcome.claimed.lock is not None for outcome in batch):
                self._unlocked()
            if not self._buffer:
                self._wake.clear()
                self._empty.set()

    async def _write(self, batch: list[Outcome]) -> None:
        try:
            await self._write_at_once(batch)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(batch) == 1:
                await self._give_up(batch[0], error)
                return
            # one outcome that PostgreSQL refuses must not keep the others
            for outcome in batch:
                await self._write([outcome])

    async def _give_up(self, outcome: Outcome, error: psycopg.Error) -> None:
        """The row refuses its outcome: keep what can be kept, so that the job does not hang in doing."""
        logger.error("job %s: its outcome cannot be stored: %s", outcome.claimed.id, error)
        await self._write_at_once([Outcome(outcome.claimed, "failed", ended_at=outcome.ended_at)])

    async def _write_at_once(self, batch: list[Outcome]) -> None:
        kept: list[Outcome] = []
        deleted: list[Outcome] = []
        again: list[Outcome] = []
        back: list[Outcome] = []
        for outcome in batch:
            if outcome.status == "todo":
                (again if outcome.retry else back).append(outcome)
            else:
                (deleted if self._deletes(outcome.status) else kept).append(outcome)
        done: set[int] = set()
        if again:
            done |= await self._retry(again)
            # a retry is refused as well when the job was asked to abort: it then ends
            refused = [each for each in again if each.claimed.id not in done]
            kept += [Outcome(each.claimed, "failed", error=each.error, ended_at=each.ended_at) for each in refused]
        if kept:
            done |= await self._finish(kept)
        if deleted:
            done |= await self._ids("delete_finished_jobs", deleted)
        if back:
            done |= await self._ids("release_jobs", back)
            await self._link.run("notify_queues", queues=sorted({each.claimed.queue for each in back}))
        for outcome in batch:
            if outcome.claimed.id not in done:
                logger.warning("job %s: the finish was refused: it is no longer this worker's", outcome.claimed.id)

    async def _finish(self, outcomes: list[Outcome]) -> set[int]:
        return await self._ids(
            "finish_jobs",
            outcomes,
            worker=self._worker,
            statuses=literal(each.status for each in outcomes),
            results=unless_all_null([each.result for each in outcomes]),
            errors=unless_all_null([each.error for each in outcomes]),
            waited=literal(f"{each.claimed.started_at - each.claimed.claimed_at:.6f}" for each in outcomes),
            lasted=literal(f"{each.ended_at - each.claimed.started_at:.6f}" for each in outcomes),
        )

    async def _retry(self, outcomes: list[Outcome]) -> set[int]:
        decisions = [each.retry for each in outcomes if each.retry]
        now = utils.utcnow()
        return await self._ids(
            "retry_jobs",
            outcomes,
            worker=self._worker,
            seconds=[max(0.0, (each.retry_at - now).total_seconds()) if each.retry_at else 0.0 for each in decisions],
            priorities=[each.priority for each in decisions],
            queues=[each.queue for each in decisions],
            locks=[each.lock for each in decisions],
            errors=[each.error for each in outcomes],
        )

    async def _ids(self, statement: str, outcomes: list[Outcome], **params: Any) -> set[int]:
        ids = literal(str(each.claimed.id) for each in outcomes)
        return {row[0] for row in await self._link.run(statement, ids=ids, **self._owner, **params)}


def literal(words: Iterable[str]) -> str:
    """PostgreSQL's text form of an array of words that need no quotes; psycopg would look at each for what to quote."""
    return "{" + ",".join(words) + "}"


def unless_all_null(values: list[str | None]) -> list[str | None]:
    """Nothing instead of many NULLs: unnest() fills the shorter array up with them."""
    return values if any(value is not None for value in values) else []
