"""The jobs of the schedules that a transaction holds."""

import logging
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import psycopg
from procrastinate.exceptions import AlreadyEnqueued

from workrow.database.held import write_free
from workrow.database.outage import is_lost
from workrow.enqueue import transaction
from workrow.errors import WorkrowError
from workrow.job import Job
from workrow.logs import get_logger
from workrow.maintenance.due import due, start_of
from workrow.schedules.rows import as_schedule
from workrow.tasks import Task

logger = get_logger(__name__)

RETRY_BROKEN = timedelta(hours=1)
"""When to look again at a row that cannot be read here, such as one of a time zone that this machine does not have."""

USUAL = "refused: "
"""How a reason begins that is as the task's rule wants it."""


class Tick:
    """One schedule that is due.

    Args:
        row: a row of ``claim_schedules.sql``.
        task: its task.
        max_delay: how late a due time may be made up for, where the schedule does not say.

    Attributes:
        jobs: those to enqueue, oldest first.
        problem: why the row cannot be read here; None: it can.
    """

    def __init__(self, row: Mapping[str, Any], task: Task[Any, Any], max_delay: timedelta) -> None:
        self.name: str = row["name"]
        self.last_job_id: int | None = row["last_job_id"]
        self.jobs: list[DueJob] = []
        self.overlap = row["overlap"]
        self.all_count = row["missed"] == "all"
        self.task = task
        self._last_tick: datetime = row["now"]
        self._last_due: datetime | None = None
        self._said: list[tuple[int, str, tuple[object, ...]]] = []
        self._skipped = 0
        self._last_skipped: datetime | None = None
        self._reason: str | None = None
        self.problem: str | None = None
        try:
            schedule = as_schedule(row, task.payload, task.hidden)
            found = due(schedule, row["last_tick"], row["now"], max_delay)
            self._next_due = found.following
            options = _options(self.name, row)
            args = schedule.args
            for due_at in found.times:
                at = {"at": start_of(self.name, due_at, schedule.jitter)} if schedule.jitter else {}
                self.jobs.append(DueJob(self, due_at, {**args, **task.due_arguments(due_at, args)}, {**options, **at}))
            if found.missed and found.last_missed:
                self.skip(found.last_missed, "missed", found.missed)
        except Exception as error:  # of this row, and no other one
            self.problem = str(error) if isinstance(error, WorkrowError) else f"{type(error).__name__}: {error}"
            self._next_due = row["now"] + RETRY_BROKEN
            self.skip(row["now"], self.problem)

    def skip(self, due_at: datetime, reason: str, count: int = 1) -> None:
        """No job for so many due times, the last of which is ``due_at``."""
        level = logging.DEBUG if reason in ("overlap", "paused") or reason.startswith(USUAL) else logging.WARNING
        words = "%s: %d due times skipped, the last at %s: %s"
        self._said.append((level, words, (self.name, count, due_at.isoformat(), reason)))
        self._skipped += count
        if self._last_skipped is None or self._last_skipped < due_at:
            self._last_skipped, self._reason = due_at, reason[:500]

    def enqueued(self, job: "DueJob", job_id: int) -> None:
        """The job of a due time has this id."""
        words = "enqueued %s[%d], due at %s"
        self._said.append((logging.DEBUG, words, (self.task.name, job_id, job.due_at.isoformat())))
        if self._last_due is None or self._last_due < job.due_at:
            self._last_due, self.last_job_id = job.due_at, job_id

    def tell(self) -> None:
        """Log what was done, once it is committed."""
        for level, words, values in self._said:
            logger.log(level, words, *values)

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


Tried = tuple[DueJob, Job[Any] | Exception]


def _options(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    options = {option: row[option] for option in ("queue", "priority") if row[option] is not None}
    return {**options, "lock": f"schedule:{name}"} if row["overlap"] == "queue" else options


async def enqueue(connection: psycopg.AsyncConnection[Any], ticks: list[Tick], suspects: Set[str]) -> list[Tick]:
    """Enqueue what is due, in the connection's transaction; what cannot be enqueued is noted as skipped.

    Args:
        connection: in a transaction whose statements wait for locks for a moment only.
        ticks: the schedules; of each all jobs are written, or none.
        suspects: the names of those that were held when they were last tried; they do not delay the others.

    Returns:
        Those whose jobs are written. The others need what somebody's open transaction holds.
    """
    open_jobs = await _open(connection, ticks)
    for tick in ticks:
        tick.jobs = _apart(tick, open_jobs)

    async def write(some: list[Tick]) -> None:
        jobs = sorted((job for tick in some for job in tick.jobs), key=lambda job: job.kind)
        for job, result in await _insert(connection, jobs) if jobs else ():
            if isinstance(result, Exception):
                _note(job, result)
            elif not result.created and getattr(job.tick.task.declared.rule, "on_conflict", None) == "skip":
                job.tick.skip(job.due_at, f"{USUAL}job {result.id} counts as the same under the task's rule")
            else:
                job.tick.enqueued(job, result.id)

    return await write_free(
        connection,
        [tick for tick in ticks if tick.name not in suspects],
        write,
        [tick for tick in ticks if tick.name in suspects],
    )


async def _insert(connection: psycopg.AsyncConnection[Any], jobs: list[DueJob]) -> list[Tried]:
    """Enqueue all of these; if one of them cannot be, all but those that cannot. Returns the jobs, or why not."""
    inserted: list[Tried] = []
    try:
        async with connection.transaction():
            for batch in _kinds(jobs):
                task, options = batch[0].tick.task, batch[0].options
                call = task.options(**options) if options else task
                handles = await call.taking_json().enqueue_many(connection, [job.args for job in batch])
                inserted += zip(batch, handles, strict=True)
    except Exception as error:
        if is_lost(error):
            raise
        # a job that cannot be enqueued must not hold back those of other schedules
        if len(jobs) == 1:
            return [(jobs[0], error)]
        middle = len(jobs) // 2
        return await _insert(connection, jobs[:middle]) + await _insert(connection, jobs[middle:])
    return inserted


def _note(job: DueJob, error: Exception) -> None:
    if not isinstance(error, AlreadyEnqueued | WorkrowError):
        logger.error("%s: no job for its due time %s", job.tick.name, job.due_at.isoformat(), exc_info=error)
    job.tick.skip(job.due_at, f"{type(error).__name__}: {error}")


def _kinds(jobs: list[DueJob]) -> Iterator[list[DueJob]]:
    for _, batch in groupby(jobs, key=lambda job: job.kind):
        yield list(batch)


def _apart(tick: Tick, open_jobs: Mapping[int, bool]) -> list[DueJob]:
    """The jobs of a schedule but for those that would overlap, or pile up behind a pause."""
    former = open_jobs.get(tick.last_job_id) if tick.last_job_id is not None else None  # None: it has ended
    if tick.overlap == "skip":
        kept, reason = (tick.jobs[:1] if former is None else []), "overlap"
    elif former and not tick.all_count:
        kept, reason = [], "paused"
    else:
        return tick.jobs
    for job in tick.jobs[len(kept) :]:
        tick.skip(job.due_at, reason)
    return kept


async def _open(connection: psycopg.AsyncConnection[Any], ticks: list[Tick]) -> dict[int, bool]:
    """Which former jobs wait or run, and whether it is a pause that they wait for; of schedules that ask."""
    asks = (tick for tick in ticks if tick.jobs and tick.last_job_id and (tick.overlap == "skip" or not tick.all_count))
    ids = [tick.last_job_id for tick in asks]
    rows = await transaction.run_async(connection, "find_open_jobs", {"ids": ids}) if ids else []
    return dict(rows)
