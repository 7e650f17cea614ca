"""Attempts to write a batch: what is held, or refused, does not keep the rest."""

import logging
from collections.abc import Callable

import psycopg

from workrow.database.held import Held
from workrow.database.link import Link
from workrow.database.outage import LOST, told
from workrow.job import UNKEPT
from workrow.logs import get_logger
from workrow.worker.arrays import literal
from workrow.worker.finishing.writer import RACES, Writer
from workrow.worker.job_logs import type_of
from workrow.worker.lease import Lease
from workrow.worker.outcome import Outcome, entry, plain_outcome

logger = get_logger(__name__)

WHY_MAX = 1000
"""Characters of a refusal that the row keeps."""
KEEPS_STATUS = ("succeeded", "aborted")
"""What ended so has ended so, whatever of its row is refused."""


class Attempts:
    """Writes batches on one connection.

    Args:
        link: where the statements run.
        lease: whose jobs they must be.
        worker: the worker's name, for the history.
        max_crashes: so many crashes put a job into quarantine.
        deletes: whether a job that ended with this status is deleted instead of kept.
        refusals: job → how often the database has refused its end, also without what may be left out; of all attempts.

    Attributes:
        in_doubt: the last attempt to write ended with a lost connection; it may have taken effect unheard.
        holders: job → session that holds its key, of the last looks.
    """

    def __init__(
        self,
        link: Link,
        lease: Lease,
        worker: str | None,
        max_crashes: int,
        deletes: Callable[[str], bool],
        refusals: dict[int, int],
    ) -> None:
        self._link = link
        self._lease = lease
        self._refusals = refusals
        self._writer = Writer(link, worker, max_crashes, deletes)
        self.in_doubt = False
        self.holders: dict[int, int] = {}

    def over(self) -> None:
        """The last batch is written, or set aside."""
        self.in_doubt = False
        self._writer.done.clear()

    async def write(self, batch: list[Outcome], races: int = RACES) -> list[Outcome]:
        """Write a batch; return what is to be tried again later: somebody holds it, or it is refused for now.

        Raises:
            psycopg.OperationalError: the connection is lost; some may be written.
        """
        batch = self._still_ours(batch)
        if not batch:
            return []
        try:
            await self._write_at_once(batch)
        except Held as error:
            if len(batch) == 1 and error.pid:
                self.holders[batch[0].claimed.id] = error.pid
            return await self._set_aside(batch)
        except LOST:
            self.in_doubt = True
            raise
        except Exception as error:
            if len(batch) == 1:
                if isinstance(error, psycopg.errors.UniqueViolation) and races:
                    # a newer job under the same queueing lock was not committed yet when we looked: now it is
                    return await self.write(batch, races - 1)
                if isinstance(error, psycopg.errors.UntranslatableCharacter) and (
                    told_plainly := plain_outcome(batch[0])
                ):
                    return await self.write([told_plainly], races)
                return await self._give_up(batch[0], error)
        else:
            return []
        # one outcome that PostgreSQL refuses must not keep the others
        half = len(batch) // 2
        return await self.write(batch[:half]) + await self.write(batch[half:])

    async def write_free(self, batch: list[Outcome]) -> list[Outcome]:
        """Write those of a batch that nobody holds now: a look at their rows, an attempt for each key and workflow.

        Returns:
            What is to be tried again later.
        """
        self.holders.clear()
        held = await self._held(batch)
        left = [each for each in batch if each.claimed.id in held]
        together: dict[object, list[Outcome]] = {None: []}
        for outcome in batch:
            if outcome.claimed.id not in held:
                alone = _waits_for_key(outcome) or outcome.sequel is not None
                apart = (outcome.claimed.id,) if alone else outcome.claimed.workflow
                together.setdefault(apart, []).append(outcome)
        for outcomes in together.values():
            left += await self.write(outcomes)
        return left

    async def _set_aside(self, batch: list[Outcome]) -> list[Outcome]:
        """Write all but those that are held, or that may be: a key of a row that is not committed cannot be seen, nor
        which nodes of workflows are held that an end would touch."""
        if len(batch) == 1:
            return batch
        held = await self._held(batch)
        aside = [each for each in batch if each.claimed.id in held or _waits_for_key(each)]
        aside = aside or [each for each in batch if each.claimed.workflow is not None or each.sequel is not None]
        if len(aside) in (0, len(batch)):
            return batch  # another table is held, or it was over in the meantime
        taken = {each.claimed.id for each in aside}
        return aside + await self.write([each for each in batch if each.claimed.id not in taken])

    async def _held(self, batch: list[Outcome]) -> set[int]:
        try:
            rows = await self._link.run("probe_jobs", ids=literal(str(each.claimed.id) for each in batch))
        except Held:  # the table as a whole, by an upgrade
            return {each.claimed.id for each in batch}
        return {row[0] for row in rows}

    def refuse(self, outcome: Outcome) -> None:
        """Count a finish that is not written, for the job is no longer ours."""
        self._lease.refused += 1
        logger.warning("%s: the finish was refused (%s): the job is no longer ours", outcome.claimed, outcome.status)

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

    async def _give_up(self, outcome: Outcome, error: Exception) -> list[Outcome]:
        """The row refuses its outcome: keep what can be kept, so that the job does not hang in doing."""
        job_id = outcome.claimed.id
        refusals = self._refusals.get(job_id, 0)
        level = logging.DEBUG if refusals else logging.ERROR
        logger.log(level, "%s: its outcome cannot be stored: %s", outcome.claimed, told(error))
        # without the workflow that was to take its place, or without what follows from it, it has not done its work
        ended_so = outcome.status in KEEPS_STATUS and outcome.flow is None and outcome.sequel is None
        status = outcome.status if ended_so else "failed"
        kind = UNKEPT if status == "succeeded" else type_of(error)
        why = entry(outcome.claimed, kind, f"its end could not be stored as it was: {told(error)[:WHY_MAX]}")
        try:
            await self._write_at_once([Outcome(outcome.claimed, status, error=why, ended_at=outcome.ended_at)])
        except LOST:
            raise
        except Held:
            return [outcome]
        except psycopg.Error:
            self._refusals[job_id] = refusals + 1
            return [outcome]
        return []

    async def _write_at_once(self, batch: list[Outcome]) -> None:
        await self._writer.write(batch)
        for outcome in batch:
            # after a lost connection the statement may have taken effect unheard
            if outcome.claimed.id not in self._writer.done and not self.in_doubt:
                self.refuse(outcome)


def _waits_for_key(outcome: Outcome) -> bool:
    """Whether its row goes back under a queueing lock, which somebody may have taken and not committed."""
    return outcome.claimed.queueing_lock is not None and outcome.status in ("todo", "snoozed", "crashed")
