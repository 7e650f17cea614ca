"""Which jobs to claim next: the order, the cursors, and when to look from the start again."""

import time
from typing import Any

import psycopg

from workrow.database.held import Held
from workrow.database.link import Link, Row
from workrow.database.outage import LOST, told
from workrow.logs import get_logger
from workrow.worker.claiming.lines import Lines
from workrow.worker.claiming.locks import Locks
from workrow.worker.claiming.pauses import Pauses
from workrow.worker.claiming.survey import LEVELS, SWEEP_SHARE, Group, Survey
from workrow.worker.claiming.turns import Turns
from workrow.worker.lease import Lease
from workrow.worker.outcome import Claimed

logger = get_logger(__name__)

MANY_LEVELS = 100
"""So many priorities of a queue are told apart where waiting counts as priority, or a row cannot be claimed."""
SHARE_LEAST = 10
"""Jobs: what a group is asked for in its turn, at least: a statement for each job would not pay."""
BUSY_SURVEY = 0.1
"""Seconds between two surveys of a busy worker: how long a job of higher priority, or of another queue, goes unseen."""
STAGE = 1000
NOTIFIED_MOST = 1000
"""Ids of notifications that are kept until the next claim: anybody who may connect can send more."""
NOTE_AGAIN = 10.0
"""Seconds until names of queues are noted again that an open transaction holds. No claim depends on them."""


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
        lines: claims the jobs that wait for their limits.
        ageing: seconds of waiting that count as one level of priority; None: waiting counts nothing.

    Attributes:
        names_held: names of queues, one of which somebody's open transaction notes.
    """

    def __init__(
        self,
        link: Link,
        lease: Lease,
        queues: list[str] | None,
        tasks: list[str],
        signatures: list[str],
        pauses: Pauses,
        lines: Lines,
        ageing: float | None = None,
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
        self._turns = Turns(ageing)
        self._levels = MANY_LEVELS if ageing else LEVELS
        self._from_queue = ""
        self._by_id: set[tuple[str, int]] = set()
        self._refused: set[int] = set()
        self._locks = Locks(link, lease, queues, pauses)
        self._queues_seen: set[str] = set()
        self._note_at = 0.0
        self.names_held: set[str] = set()
        self._notified: set[int] = set()
        self._told_first = False

    @property
    def _known(self) -> dict[str, Any]:
        return {"tasks": self._tasks, "signatures": self._signatures}

    def notify(self, job_id: int) -> None:
        """A notification said that this job is there."""
        if len(self._notified) < NOTIFIED_MOST:
            self._notified.add(job_id)
        else:
            self.look_again()

    def look_again(self) -> None:
        """Forget when the last survey was: something is there that no notification names."""
        self._survey.next_at = 0.0
        self._locks.look_again()
        self._lines.look_again()

    def unlock(self) -> None:
        """A job with a lock, or with limits, has ended: the next one behind it may be there."""
        self._survey.locked = True
        self._locks.look_again()
        self._lines.look_again()

    @property
    def due_in(self) -> float | None:
        """Seconds until the next scheduled job is due, as of the last survey; None if there is none."""
        survey = self._survey
        due = None if survey.due_in is None else max(0.0, survey.due_in - (time.monotonic() - survey.at))
        known = [each for each in (due, self._lines.due_in) if each is not None]
        return min(known, default=None)

    async def claim(self, limit: int) -> list[Claimed]:
        """Claim up to ``limit`` jobs that can run now: notified ones, known groups, then whatever a survey finds."""
        survey_due = time.monotonic() >= max(self._survey.next_at, self._survey.at + BUSY_SURVEY)
        if self._notified or not survey_due:
            await self._pauses.refresh()
            self._heed_pauses()
        claimed = await self._claim_notified(limit)
        self._told_first = bool(claimed) and not self._told_first
        if self._told_first:
            return claimed  # what woke a sleeper starts at once; the survey takes as long as its claim, and comes next
        if survey_due:
            await self._look()
        claimed += await self._lines.claim(self._share_of_lines(limit - len(claimed)), self._pauses)
        claimed += await self._claim_known(limit - len(claimed))
        if len(claimed) < limit and time.monotonic() >= self._survey.next_at:
            await self._look()
            claimed += await self._claim_known(limit - len(claimed))
        return claimed + await self._lines.claim(limit - len(claimed), self._pauses)

    def _share_of_lines(self, limit: int) -> int:
        """Where jobs with and without limits wait, each kind gets half of the room; of a single slot, every other."""
        if not self._survey.groups:
            return limit
        self._lines_first = not self._lines_first
        return (limit + self._lines_first) // 2

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
        claimed: list[Claimed] = []
        if survey.locked:
            claimed = await self._locks.claim(share, self._known)
            survey.locked = self._locks.are_left
        return claimed + await self._claim_groups(limit - len(claimed))

    async def _claim_notified(self, limit: int) -> list[Claimed]:
        ids, self._notified = self._notified, set()
        if not ids:
            return []
        claimed = await self._run(
            "claim_notified_jobs", ids=list(ids), queues=self._queues, paused=self._pauses.queues, limit=limit
        )
        for job in claimed:
            self._turns.count((job.queue, job.priority), 1)
        return claimed

    async def _claim_groups(self, limit: int) -> list[Claimed]:
        claimed: list[Claimed] = []
        groups = self._survey.groups
        while groups and limit > len(claimed):
            peers = self._turns.first(groups)
            share = max(SHARE_LEAST, -(-(limit - len(claimed)) // len(peers)))
            empty = set()
            for group in peers:
                want = min(share, limit - len(claimed))
                if want <= 0:
                    break
                before = group.after
                got = await self._claim_group(group, want)
                self._advance(group, got)
                claimed += got
                if len(got) < want and group.after == before:
                    empty.add(group.key)
            if empty:
                groups[:] = [group for group in groups if group.key not in empty]
        return claimed

    def _advance(self, group: Group, got: list[Claimed]) -> None:
        self._turns.count(group.key, len(got))
        if group.mixed:
            got = [job for job in got if not job.was_scheduled]
        if group.rest:
            group.priority = min((job.priority for job in got), default=group.priority)
        elif got:
            group.after = max(job.id for job in got)

    async def _claim_group(self, group: Group, limit: int) -> list[Claimed]:
        try:
            return await self._claim_group_at_once(group, limit)
        except (Held, *LOST):
            raise
        except psycopg.Error as error:
            if group.rest and self._levels < MANY_LEVELS:
                self._levels = MANY_LEVELS  # from now on by priorities, which have cursors
                self.look_again()
                return []
            if group.mixed or group.rest:
                # by id from now on, for that has a cursor
                self._by_id.add(group.key)
                group.mixed, group.rest, group.after = False, False, 0
                return await self._claim_group(group, limit)
            if limit > 1:
                return await self._claim_group(group, limit // 2)
            await self._step_over(group, error)
            return []

    async def _step_over(self, group: Group, error: psycopg.Error) -> None:
        """A row that PostgreSQL refuses to have claimed (a trigger raises, a damaged page) must not hold the others."""
        rows = await self._link.run(
            "peek_ready_job", queue=group.queue, priority=group.priority, after=group.after, **self._known
        )
        if rows:
            group.after = rows[0][0]
            if group.after not in self._refused:
                self._refused.add(group.after)
                logger.error("job %s cannot be claimed and is left in the queue: %s", group.after, told(error))

    async def _claim_group_at_once(self, group: Group, limit: int) -> list[Claimed]:
        of = {"queue": group.queue, "priority": group.priority, "limit": limit}
        if group.rest:
            claimed = await self._run("claim_queue_jobs", **of)
        else:
            claimed = await self._run("claim_mixed_jobs" if group.mixed else "claim_jobs", after=group.after, **of)
        # an UPDATE returns rows in no particular order
        claimed.sort(key=lambda job: (-job.priority, job.id))
        return claimed

    async def _run(self, statement: str, **params: Any) -> list[Claimed]:
        owner = self._lease.worker_id
        rows = await self._link.run(statement, worker_id=owner, **self._known, **params)
        return [Claimed(row, owner) for row in rows]

    async def _look(self) -> None:
        began = time.monotonic()
        rows = await self._read_survey()
        if any(row[0] == "due" and row[4] <= 0 for row in rows):
            await self._link.run("stage_jobs", limit=STAGE)
            rows = await self._read_survey()
        now = time.monotonic()
        if self._note_pauses(rows):
            rows = await self._read_survey()
        again_at = now + (now - began) * SWEEP_SHARE
        survey = self._survey.renewed(rows, now, again_at, self._levels)
        survey.groups = [group for group in survey.groups if group.queue not in self._pauses.queues]
        for group in [each for each in survey.groups if each.mixed and each.key in self._by_id]:
            group.mixed, group.after = False, 0
        await self._note_queues({group.queue for group in survey.groups} - self._queues_seen, now)
        self._survey = survey

    async def _read_survey(self) -> list[Row]:
        """A worker of all queues sees a thousand at a time, and goes on where it ended: until it finds something, or
        has seen them all."""
        ends = 2 if self._from_queue else 1
        while True:
            rows = await self._link.run(
                "survey_jobs",
                queues=self._queues,
                paused=self._pauses.queues,
                levels=self._levels,
                from_queue=self._from_queue,
                **self._known,
            )
            self._from_queue = next((row[1] for row in rows if row[0] == "more"), "")
            ends -= not self._from_queue
            if not ends or any(row[0] == "ready" for row in rows):
                return rows

    async def _note_queues(self, new: set[str], now: float) -> None:
        if not new or now < self._note_at:
            return
        try:
            await self._link.run("note_queues", names=list(new))
        except Held:
            self._note_at, self.names_held = now + NOTE_AGAIN, new  # somebody's open transaction notes one of them
        else:
            self.names_held = set()
            self._queues_seen |= new
