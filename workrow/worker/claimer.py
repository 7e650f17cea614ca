"""Which jobs to claim next: the order, the cursors, and when to look from the start again."""

import time
from dataclasses import dataclass, field

import psycopg

from workrow.worker.link import Link
from workrow.worker.outcome import Claimed

SWEEP_SHARE = 20
"""A survey may take a twentieth of the time: under a snapshot that somebody holds open it walks over dead entries."""
MANY_PRIORITIES = 4
"""From so many priorities on, one statement for the whole queue beats one for each."""
LOCKS_A_SCAN = 1000
BUSY_SURVEY = 0.1
"""Seconds between two surveys of a busy worker: how long a job of higher priority, or of another queue, goes unseen."""
STAGE = 1000


@dataclass(slots=True)
class Group:
    """The ready jobs of one queue and one priority (None: of all). ``after``: the highest id claimed."""

    queue: str
    priority: int | None
    after: int = 0


@dataclass(slots=True)
class Survey:
    """What the last look from the start found."""

    groups: list[Group] = field(default_factory=list)
    locked: bool = False
    due_in: float | None = None
    at: float = 0.0
    next_at: float = 0.0


class Claimer:
    """Claims jobs of some queues for one worker.

    Args:
        link: where the statements run.
        worker_id: who claims.
        queues: which ones; None for all.
    """

    def __init__(self, link: Link, worker_id: int, queues: list[str] | None) -> None:
        self._link = link
        self._worker_id = worker_id
        self._queues = queues
        self._survey = Survey()
        self._lock_cursor = ""
        self._locks_at = 0.0
        self._queues_seen: set[str] = set()
        self._notified: set[int] = set()

    def notify(self, job_id: int) -> None:
        """A notification said that this job is there."""
        self._notified.add(job_id)

    def look_again(self) -> None:
        """Forget when the last survey was: something is there that no notification names."""
        self._survey.next_at = self._locks_at = 0.0

    def unlock(self) -> None:
        """A job with a lock has ended: the next one behind it may be there."""
        self._survey.locked = True
        self._locks_at = 0.0

    @property
    def due_in(self) -> float | None:
        """Seconds until the next scheduled job is due, as of the last survey; None if there is none."""
        survey = self._survey
        return None if survey.due_in is None else max(0.0, survey.due_in - (time.monotonic() - survey.at))

    async def claim(self, limit: int) -> list[Claimed]:
        """Claim up to ``limit`` jobs that can run now: notified ones, known groups, then whatever a survey finds."""
        claimed = await self._claim_notified(limit)
        if time.monotonic() >= max(self._survey.next_at, self._survey.at + BUSY_SURVEY):
            await self._look()
        claimed += await self._claim_known(limit - len(claimed))
        if len(claimed) < limit and time.monotonic() >= self._survey.next_at:
            await self._look()
            claimed += await self._claim_known(limit - len(claimed))
        return claimed

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
        rows = await self._link.run(
            "claim_notified_jobs", ids=list(ids), queues=self._queues, limit=limit, worker_id=self._worker_id
        )
        return [Claimed(row) for row in rows]

    async def _claim_groups(self, limit: int) -> list[Claimed]:
        claimed: list[Claimed] = []
        groups = self._survey.groups
        while groups and limit > len(claimed):
            group, want = groups[0], limit - len(claimed)
            got = await self._claim_group(group, want)
            claimed += got
            if len(got) < want:
                groups.pop(0)
            if got and group.priority is not None:
                group.after = max(job.id for job in got)
        if groups:
            # queues of the same priority take turns
            groups.append(groups.pop(0))
            groups.sort(key=lambda group: -(group.priority or 0))
        return claimed

    async def _claim_group(self, group: Group, limit: int) -> list[Claimed]:
        common = {"queue": group.queue, "limit": limit, "worker_id": self._worker_id}
        if group.priority is None:
            rows = await self._link.run("claim_queue_jobs", **common)
        else:
            rows = await self._link.run("claim_jobs", **common, priority=group.priority, after=group.after)
        # an UPDATE returns rows in no particular order
        rows.sort(key=lambda row: (-row[3], row[0]))
        return [Claimed(row) for row in rows]

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
        try:
            rows = await self._link.run(
                "claim_locked_jobs",
                after=self._lock_cursor,
                keys=LOCKS_A_SCAN,
                limit=limit,
                queues=self._queues,
                worker_id=self._worker_id,
            )
        except psycopg.errors.UniqueViolation:
            return []  # another worker took one of these locks in the same moment; nothing was claimed
        self._lock_cursor = rows[0][0] or ""
        return [Claimed(row[1:]) for row in rows if row[1] is not None]

    async def _look(self) -> None:
        began = time.monotonic()
        rows = await self._link.run("survey_jobs")
        if any(kind == "due" and seconds <= 0 for kind, _, _, _, seconds in rows):
            await self._link.run("stage_jobs", limit=STAGE)
            rows = await self._link.run("survey_jobs")
        now = time.monotonic()
        known = {(group.queue, group.priority): group for group in self._survey.groups}
        found: dict[str, list[Group]] = {}
        locked, due_in = False, None
        for kind, queue, priority, first_id, seconds in rows:
            if kind == "locked":
                locked = True
            elif kind == "due":
                due_in = seconds
            elif self._queues is None or queue in self._queues:
                # what is ready below a cursor was committed late: go back for it
                before = known.get((queue, priority), Group(queue, priority)).after
                found.setdefault(queue, []).append(Group(queue, priority, min(before, first_id - 1)))
        groups = [
            group
            for queue, each in found.items()
            for group in (each if len(each) < MANY_PRIORITIES else [Group(queue, None)])
        ]
        groups.sort(key=lambda group: -(group.priority or 0))
        if new := found.keys() - self._queues_seen:
            await self._link.run("note_queues", names=list(new))
            self._queues_seen |= new
        self._survey = Survey(groups, locked, due_in, now, now + (now - began) * SWEEP_SHARE)
