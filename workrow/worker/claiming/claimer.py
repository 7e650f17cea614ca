"""Which jobs to claim next: the order, the cursors, and when to look from the start again."""

import logging
import sys
import time
from typing import Any

import psycopg

from workrow.database.link import Link, Row
from workrow.database.outage import LOST, told
from workrow.worker.claiming.lines import Lines
from workrow.worker.claiming.pauses import Pauses
from workrow.worker.claiming.survey import Group, Survey
from workrow.worker.lease import Lease
from workrow.worker.outcome import Claimed

logger = logging.getLogger(__name__)

SWEEP_SHARE = 20
"""A survey may take a twentieth of the time: under a snapshot that somebody holds open it walks over dead entries."""
MANY_PRIORITIES = 4
"""From so many priorities on, one statement for the whole queue beats one for each."""
LOCKS_A_SCAN = 1000
BUSY_SURVEY = 0.1
"""Seconds between two surveys of a busy worker: how long a job of higher priority, or of another queue, goes unseen."""
STAGE = 1000


class Claimer:
    """Claims jobs of some queues for one worker.

    Args:
        link: where the statements run.
        lease: who claims.
        queues: which ones; None for all.
        tasks: the names of the tasks that this worker knows; others are left for those who do.
        signatures: ``"task:version"`` of the versions that it knows of those that have more than one: jobs of newer
            ones are left, too.
        pauses: what is not to be claimed now.
        lines: claims the jobs that have limits; None where no task has any.
    """

    def __init__(
        self,
        link: Link,
        lease: Lease,
        queues: list[str] | None,
        tasks: list[str],
        signatures: list[str],
        pauses: Pauses,
        lines: Lines | None = None,
    ) -> None:
        self._link = link
        self._lease = lease
        self._all_tasks = self._tasks = tasks
        self._signatures = signatures
        self._pauses = pauses
        self._pauses_heeded = 0
        self._queues = queues
        self._lines = lines
        self._lines_first = True
        self._survey = Survey()
        self._many_priorities = MANY_PRIORITIES
        self._refused: set[int] = set()
        self._lock_cursor = ""
        self._locks_at = 0.0
        self._queues_seen: set[str] = set()
        self._notified: set[int] = set()

    @property
    def _known(self) -> dict[str, Any]:
        return {"tasks": self._tasks, "signatures": self._signatures}

    def notify(self, job_id: int) -> None:
        """A notification said that this job is there."""
        self._notified.add(job_id)

    def look_again(self) -> None:
        """Forget when the last survey was: something is there that no notification names."""
        self._survey.next_at = self._locks_at = 0.0
        if self._lines:
            self._lines.look_again()

    def unlock(self) -> None:
        """A job with a lock, or with limits, has ended: the next one behind it may be there."""
        self._survey.locked = True
        self._locks_at = 0.0
        if self._lines:
            self._lines.look_again()

    @property
    def due_in(self) -> float | None:
        """Seconds until the next scheduled job is due, as of the last survey; None if there is none."""
        survey = self._survey
        due = None if survey.due_in is None else max(0.0, survey.due_in - (time.monotonic() - survey.at))
        known = [each for each in (due, self._lines.due_in if self._lines else None) if each is not None]
        return min(known, default=None)

    async def claim(self, limit: int) -> list[Claimed]:
        """Claim up to ``limit`` jobs that can run now: notified ones, known groups, then whatever a survey finds."""
        survey_due = time.monotonic() >= max(self._survey.next_at, self._survey.at + BUSY_SURVEY)
        if self._notified or not survey_due:
            await self._pauses.refresh()
            self._heed_pauses()
        claimed = await self._claim_notified(limit)
        if survey_due:
            await self._look()
        if self._lines:
            claimed += await self._lines.claim(self._share_of_lines(limit - len(claimed)), self._pauses)
        claimed += await self._claim_known(limit - len(claimed))
        if len(claimed) < limit and time.monotonic() >= self._survey.next_at:
            await self._look()
            claimed += await self._claim_known(limit - len(claimed))
        if self._lines and len(claimed) < limit:
            claimed += await self._lines.claim(limit - len(claimed), self._pauses)
        return claimed

    def _share_of_lines(self, limit: int) -> int:
        """Where jobs with and without limits wait, each kind gets half of the room; of a single slot, every other."""
        if not self._survey.groups:
            return limit
        self._lines_first = not self._lines_first
        return (limit + self._lines_first) // 2

    def _serves(self, queue: str) -> bool:
        return (self._queues is None or queue in self._queues) and queue not in self._pauses.queues

    def _note_pauses(self, rows: list[Row]) -> bool:
        """What a survey says of pauses; whether it asked for other tasks than it should have."""
        tasks = self._tasks
        self._pauses.note((kind.removeprefix("paused "), name) for kind, name, *_ in rows if kind.startswith("paused "))
        self._heed_pauses()
        return tasks != self._tasks

    def _heed_pauses(self) -> None:
        pauses = self._pauses
        if pauses.changes == self._pauses_heeded:
            return
        self._pauses_heeded = pauses.changes
        self._tasks = pauses.running(self._all_tasks)
        self._survey.groups = [group for group in self._survey.groups if group.queue not in pauses.queues]
        self.look_again()

    async def _claim_known(self, limit: int) -> list[Claimed]:
        survey = self._survey
        # where both kinds wait, each gets half of the room
        share = (limit + 1) // 2 if survey.groups else limit
        claimed = await self._claim_locked(share) if survey.locked else []
        return claimed + await self._claim_groups(limit - len(claimed))

    async def _claim_notified(self, limit: int) -> list[Claimed]:
        ids, self._notified = self._notified, set()
        if not ids:
            return []
        return await self._run(
            "claim_notified_jobs", ids=list(ids), queues=self._queues, paused=self._pauses.queues, limit=limit
        )

    async def _claim_groups(self, limit: int) -> list[Claimed]:
        claimed: list[Claimed] = []
        groups = self._survey.groups
        while groups and limit > len(claimed):
            group, want = groups[0], limit - len(claimed)
            before = group.after
            got = await self._claim_group(group, want)
            claimed += got
            if len(got) < want and group.after == before:
                groups.pop(0)
            if got and group.priority is not None:
                group.after = max(job.id for job in got)
        if groups:
            # queues of the same priority take turns
            groups.append(groups.pop(0))
            groups.sort(key=lambda group: -(group.priority or 0))
        return claimed

    async def _claim_group(self, group: Group, limit: int) -> list[Claimed]:
        try:
            return await self._claim_group_at_once(group, limit)
        except LOST:
            raise
        except psycopg.Error as error:
            if group.priority is None:
                self._many_priorities = sys.maxsize  # from now on by priorities, which have cursors
                self.look_again()
                return []
            if limit > 1:
                return await self._claim_group(group, limit // 2)
            await self._step_over(group, error)
            return []

    async def _step_over(self, group: Group, error: psycopg.Error) -> None:
        """A row that PostgreSQL refuses to have claimed (a trigger raises, a page is damaged) must not hold the
        others."""
        rows = await self._link.run(
            "peek_ready_job", queue=group.queue, priority=group.priority, after=group.after, **self._known
        )
        if rows:
            group.after = rows[0][0]
            if group.after not in self._refused:
                self._refused.add(group.after)
                logger.error("job %s cannot be claimed and is left in the queue: %s", group.after, told(error))

    async def _claim_group_at_once(self, group: Group, limit: int) -> list[Claimed]:
        if group.priority is None:
            claimed = await self._run("claim_queue_jobs", queue=group.queue, limit=limit)
        else:
            claimed = await self._run(
                "claim_jobs", queue=group.queue, limit=limit, priority=group.priority, after=group.after
            )
        # an UPDATE returns rows in no particular order
        claimed.sort(key=lambda job: (-job.priority, job.id))
        return claimed

    async def _claim_locked(self, limit: int) -> list[Claimed]:
        """The heads of free locks, from where the last scan ended to the end, and once more from the start."""
        claimed: list[Claimed] = []
        began = time.monotonic()
        if began < self._locks_at:
            return claimed
        while len(claimed) < limit:
            first = self._lock_cursor
            claimed += await self._scan_locks(limit - len(claimed))
            if self._lock_cursor or not first:
                break
        if not claimed:
            now = time.monotonic()
            self._locks_at = now + (now - began) * SWEEP_SHARE
            # at the end of the locks, until a survey or the end of a job with a lock says otherwise
            self._survey.locked = bool(self._lock_cursor)
        return claimed

    async def _scan_locks(self, limit: int) -> list[Claimed]:
        owner = self._lease.worker_id
        try:
            rows = await self._link.run(
                "claim_locked_jobs",
                after=self._lock_cursor,
                keys=LOCKS_A_SCAN,
                limit=limit,
                queues=self._queues,
                paused=self._pauses.queues,
                worker_id=owner,
                **self._known,
            )
        except psycopg.errors.UniqueViolation:
            return []  # another worker took one of these locks in the same moment; nothing was claimed
        except LOST:
            raise
        except psycopg.Error as error:
            logger.error("jobs with locks cannot be claimed: %s", told(error))
            return []
        self._lock_cursor = rows[0][0] or ""
        return [Claimed(row[1:], owner) for row in rows if row[1] is not None]

    async def _run(self, statement: str, **params: Any) -> list[Claimed]:
        owner = self._lease.worker_id
        rows = await self._link.run(statement, worker_id=owner, **self._known, **params)
        return [Claimed(row, owner) for row in rows]

    async def _look(self) -> None:
        began = time.monotonic()
        rows = await self._link.run("survey_jobs", **self._known)
        if any(kind == "due" and seconds <= 0 for kind, _, _, _, seconds in rows):
            await self._link.run("stage_jobs", limit=STAGE)
            rows = await self._link.run("survey_jobs", **self._known)
        now = time.monotonic()
        if self._note_pauses(rows):
            rows = await self._link.run("survey_jobs", **self._known)
        again_at = now + (now - began) * SWEEP_SHARE
        survey = self._survey.renewed([row for row in rows if row[0] != "ready" or self._serves(row[1])], now, again_at)
        if new := {group.queue for group in survey.groups} - self._queues_seen:
            await self._link.run("note_queues", names=list(new))
            self._queues_seen |= new
        survey.merge_groups(self._many_priorities)
        self._survey = survey
