"""The jobs of the schedules that a transaction holds."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import psycopg
from procrastinate.exceptions import AlreadyEnqueued

from workrow.enqueue import transaction
from workrow.errors import WorkrowError
from workrow.maintenance.due import due, start_of
from workrow.schedules.rows import as_schedule
from workrow.tasks import Task

logger = logging.getLogger(__name__)

RETRY_BROKEN = timedelta(hours=1)
"""When to look again at a row that cannot be read here, such as one of a time zone that this machine does not have."""


class Tick:
    """One schedule that is due.

    Args:
        row: a row of ``claim_schedules.sql``.
        task: its task.
        max_delay: how late a due time may be made up for, where the schedule does not say.

    Attributes:
        jobs: those to enqueue, oldest first.
    """

    def __init__(self, row: Mapping[str, Any], task: Task[Any, Any], max_delay: timedelta) -> None:
        self.name: str = row["name"]
        self.last_job_id: int | None = row["last_job_id"]
        self.jobs: list[DueJob] = []
        self.overlap = row["overlap"]
        self.task = task
        self._last_tick: datetime = row["now"]
        self._last_due: datetime | None = None
        self._skipped = 0
        self._last_skipped: datetime | None = None
        self._reason: str | None = None
        try:
            schedule = as_schedule(row, task.payload)
            found = due(schedule, row["last_tick"], row["now"], max_delay)
            self._next_due = found.following
            options = _options(self.name, row)
            args = schedule.args
            for due_at in found.times:
                at = {"at": start_of(self.name, due_at, schedule.jitter)} if schedule.jitter else {}
                self.jobs.append(DueJob(self, due_at, {**args, **task.due_arguments(due_at, args)}, {**options, **at}))
            if found.missed and found.last_missed:
                self.skip(found.last_missed, "missed", found.missed)
        except WorkrowError as error:
            self._next_due = row["now"] + RETRY_BROKEN
            self.skip(row["now"], str(error))

    def skip(self, due_at: datetime, reason: str, count: int = 1) -> None:
        """No job for so many due times, the last of which is ``due_at``."""
        log = logger.debug if reason == "overlap" else logger.warning
        log("%s: %d due times skipped, the last at %s: %s", self.name, count, due_at.isoformat(), reason)
        self._skipped += count
        if self._last_skipped is None or self._last_skipped < due_at:
            self._last_skipped, self._reason = due_at, reason[:500]

    def enqueued(self, job: "DueJob", job_id: int) -> None:
        """The job of a due time has this id."""
        logger.debug("enqueued %s[%d], due at %s", self.task.name, job_id, job.due_at.isoformat())
        if self._last_due is None or self._last_due < job.due_at:
            self._last_due, self.last_job_id = job.due_at, job_id

    def move(self) -> dict[str, Any]:
        """What ``move_schedules.sql`` writes."""
        return {
            "name": self.name,
            "last_tick": self._last_tick.isoformat(),
            "next_due": self._next_due and self._next_due.isoformat(),
            "last_due": self._last_due and self._last_due.isoformat(),
            "last_job_id": self.last_job_id,
            "skipped": self._skipped,
            "last_skipped": self._last_skipped and self._last_skipped.isoformat(),
            "skip_reason": self._reason,
        }


@dataclass(slots=True)
class DueJob:
    """The job of one due time."""

    tick: Tick
    due_at: datetime
    args: dict[str, Any]
    options: dict[str, Any]

    @property
    def kind(self) -> str:
        """Jobs of one kind are enqueued by one statement."""
        return f"{self.tick.task.name} {sorted(self.options.items())}"


def _options(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    options = {option: row[option] for option in ("queue", "priority") if row[option] is not None}
    return {**options, "lock": f"schedule:{name}"} if row["overlap"] == "queue" else options


async def enqueue(connection: psycopg.AsyncConnection[Any], ticks: list[Tick]) -> None:
    """Enqueue what is due, in the connection's transaction; what cannot be enqueued is noted as skipped."""
    open_jobs = await _open(connection, ticks)
    jobs = [job for tick in ticks for job in _apart(tick, open_jobs)]
    if jobs:
        await _insert(connection, sorted(jobs, key=lambda job: job.kind))


async def _insert(connection: psycopg.AsyncConnection[Any], jobs: list[DueJob]) -> None:
    """Enqueue all of these; if one of them cannot be, all but those that cannot."""
    inserted: list[tuple[DueJob, int]] = []
    try:
        async with connection.transaction():
            for batch in _kinds(jobs):
                task, options = batch[0].tick.task, batch[0].options
                call = task.options(**options) if options else task
                handles = await call.taking_json().enqueue_many(connection, [job.args for job in batch])
                inserted += [(job, handle.id) for job, handle in zip(batch, handles, strict=True)]
    except psycopg.OperationalError:
        raise
    except Exception as error:
        # a job that cannot be enqueued must not hold back those of other schedules
        if len(jobs) == 1:
            _note(jobs[0], error)
            return
        middle = len(jobs) // 2
        await _insert(connection, jobs[:middle])
        await _insert(connection, jobs[middle:])
        return
    for job, job_id in inserted:
        job.tick.enqueued(job, job_id)


def _note(job: DueJob, error: Exception) -> None:
    if not isinstance(error, AlreadyEnqueued | WorkrowError):
        logger.error("%s: no job for its due time %s", job.tick.name, job.due_at.isoformat(), exc_info=error)
    job.tick.skip(job.due_at, f"{type(error).__name__}: {error}")


def _kinds(jobs: list[DueJob]) -> Iterator[list[DueJob]]:
    for _, batch in groupby(jobs, key=lambda job: job.kind):
        yield list(batch)


def _apart(tick: Tick, open_jobs: set[int]) -> list[DueJob]:
    """The jobs of a schedule but for those that would overlap."""
    if tick.overlap != "skip":
        return tick.jobs
    kept = [] if tick.last_job_id in open_jobs else tick.jobs[:1]
    for job in tick.jobs[len(kept) :]:
        tick.skip(job.due_at, "overlap")
    return kept


async def _open(connection: psycopg.AsyncConnection[Any], ticks: list[Tick]) -> set[int]:
    """Which former jobs wait or run, for schedules that must not overlap."""
    ids = [tick.last_job_id for tick in ticks if tick.overlap == "skip" and tick.jobs and tick.last_job_id]
    rows = await transaction.run_async(connection, "find_open_jobs", {"ids": ids}) if ids else []
    return {row[0] for row in rows}
