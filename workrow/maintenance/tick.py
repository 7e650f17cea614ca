"""The jobs of schedules that are due, and what becomes of them."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import psycopg
from procrastinate.exceptions import AlreadyEnqueued

from workrow.arguments.secrets import Sealed
from workrow.enqueue.not_inserted import refusal
from workrow.errors import TransactionError, WorkrowError
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
        row: a row of ``find_due_schedules.sql``.
        task: its task.
        max_delay: how late a due time may be made up for, where the schedule does not say.

    Attributes:
        jobs: those to enqueue, oldest first.
        problem: why the row cannot be read here; None: it can.
    """

    def __init__(self, row: Mapping[str, Any], task: Task[Any, Any], max_delay: timedelta) -> None:
        self.name: str = row["name"]
        self.seen: str = row["seen"]
        self.last_job_id: int | None = row["last_job_id"]
        self.jobs: list[DueJob] = []
        self.overlap = row["overlap"]
        self.all_count = row["missed"] == "all"
        self.task = task
        self._last_tick: datetime = row["now"]
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

    def tell(self) -> None:
        """Log what was done, once it is committed."""
        for level, words, values in self._said:
            logger.log(level, words, *values)

    def move(self) -> dict[str, Any]:
        """What ``tick_schedules_v1`` writes of it beside its jobs."""
        return {
            "name": self.name,
            "seen": self.seen,
            "last_tick": self._last_tick.isoformat(),
            "next_due": self._next_due and self._next_due.isoformat(),
            **(self.skips() or {"skipped": 0}),
        }

    def skips(self) -> dict[str, Any] | None:
        """What was skipped since this was last asked; None: nothing."""
        if not self._skipped or self._last_skipped is None:
            return None
        found = {
            "name": self.name,
            "skipped": self._skipped,
            "last_skipped": self._last_skipped.isoformat(),
            "skip_reason": self._reason,
        }
        self._skipped, self._last_skipped, self._reason = 0, None, None
        return found


@dataclass(slots=True)
class DueJob:
    """The job of one due time."""

    tick: Tick
    due_at: datetime
    args: dict[str, Any]
    options: dict[str, Any]

    @property
    def kind(self) -> str:
        """Jobs of one kind are enqueued together."""
        return f"{sorted(self.options.items())}"


@dataclass(slots=True)
class Calls:
    """Jobs of a schedule that differ in nothing but their arguments.

    Attributes:
        jobs: in their order.
        params: of ``enqueue_once.sql``.
    """

    jobs: list[DueJob]
    params: dict[str, Any]

    def text(self) -> str:
        """It as JSON: what ``tick_call_v1`` reads."""
        told = {"delay": self.params["delay"], "due": [job.due_at.isoformat() for job in self.jobs]}
        if not _skips_what_is_there(self.jobs[0].tick.task):
            told["found_counts"] = True
        parts = ", ".join(f'"{name}": {self.params[name]}' for name in ("job", "rule", "args", "keys", "lines"))
        return f"{json.dumps(told)[:-1]}, {parts}}}"

    def note(self, row: Mapping[str, Any]) -> None:
        """What became of one of the jobs; a row of ``tick_schedules.sql``."""
        job = self.jobs[row["place"] - 1]
        tick, task = job.tick, job.tick.task.name
        match row["verdict"]:
            case "found" if _skips_what_is_there(tick.task):
                tick.skip(job.due_at, f"{USUAL}job {row['job_id']} counts as the same under the task's rule")
            case "created" | "found":
                tick.enqueued(job, row["job_id"])
            case "conflict":
                _note(job, AlreadyEnqueued(f"{task}: job {row['job_id']} is there already; nothing was enqueued"))
            case "busy":
                _note(job, TransactionError(f"{task}: jobs with its key come and go faster than one is found"))
            case "error":
                _note(job, _error(*row["error"]))
            case _:
                one = {**self.params["refused"], "args": [""]}
                _note(job, refusal(one, [row["cap"]] if row["cap"] else []))


class Batch:
    """Schedules that are due, on their way through ``tick_schedules.sql``.

    Args:
        ticks: the schedules; of each all jobs are written, or none.
        suspects: the names of those that were held when they were last tried; they do not delay the others.

    Attributes:
        held: the names of those that need what somebody's open transaction holds.
    """

    def __init__(self, ticks: Sequence[Tick], suspects: Set[str]) -> None:
        self._ticks = {tick.name: tick for tick in sorted(ticks, key=lambda each: each.name in suspects)}
        self._suspects = suspects
        self._calls: dict[str, list[Calls]] = {}
        self.held: set[str] = set()

    @property
    def former(self) -> list[int]:
        """The former jobs of schedules that ask for them."""
        return [
            tick.last_job_id
            for tick in self._ticks.values()
            if tick.jobs and tick.last_job_id and (tick.overlap == "skip" or not tick.all_count)
        ]

    def part(self, open_jobs: Mapping[int, bool]) -> None:
        """Leave out what would overlap, or pile up behind a pause.

        Args:
            open_jobs: which former jobs wait or run, and whether it is a pause that they wait for.
        """
        for tick in self._ticks.values():
            tick.jobs = _apart(tick, open_jobs)

    @property
    def hidden(self) -> dict[str, list[str]]:
        """Which arguments of the tasks are not to be shown."""
        return {tick.task.name: sorted(tick.task.hidden) for tick in self._ticks.values() if tick.task.hidden}

    def text(self) -> str:
        """What ``tick_schedules_v1`` reads; what cannot be enqueued is noted as skipped before."""
        texts = []
        for name, tick in self._ticks.items():
            calls = self._calls[name] = list(_calls(tick.jobs))
            suspect = {"suspect": True} if name in self._suspects else {}
            head = json.dumps({**tick.move(), **suspect})
            texts.append(f'{head[:-1]}, "calls": [{", ".join(call.text() for call in calls)}]}}')
        return Sealed(f"[{', '.join(texts)}]")

    def ended(self, rows: Sequence[Mapping[str, Any]]) -> list[Tick]:
        """Those that were moved on; ``rows``: of ``tick_schedules.sql``."""
        done: dict[str, Tick] = {}
        for row in rows:
            name = row["name"]
            if row["state"] == "held":
                self.held.add(name)
            elif row["state"] == "done":
                done[name] = self._ticks[name]
                if row["call"] is not None:
                    self._calls[name][row["call"] - 1].note(row)
        return list(done.values())


def _options(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    options = {option: row[option] for option in ("queue", "priority") if row[option] is not None}
    return {**options, "lock": f"schedule:{name}"} if row["overlap"] == "queue" else options


def _calls(jobs: Sequence[DueJob]) -> Iterator[Calls]:
    """The jobs as calls; each that is none alone is noted as skipped."""
    for _, kind in groupby(jobs, key=lambda job: job.kind):
        alike = list(kind)
        try:
            yield _call(alike)
        except Exception:
            # one that cannot be enqueued must not hold back the others
            for job in alike:
                try:
                    yield _call([job])
                except Exception as error:
                    _note(job, error)


def _call(jobs: list[DueJob]) -> Calls:
    task, options = jobs[0].tick.task, jobs[0].options
    call = (task.options(**options) if options else task).taking_json()
    return Calls(jobs, call._once_params([call._bind((), job.args) for job in jobs]))


def _skips_what_is_there(task: Task[Any, Any]) -> bool:
    return getattr(task.declared.rule, "on_conflict", None) == "skip"


def _error(state: str, message: str) -> Exception:
    """What the database said, as psycopg would have raised it."""
    try:
        return psycopg.errors.lookup(state)(message)
    except KeyError:
        return psycopg.DatabaseError(message)


def _note(job: DueJob, error: Exception) -> None:
    if not isinstance(error, AlreadyEnqueued | WorkrowError):
        logger.error("%s: no job for its due time %s", job.tick.name, job.due_at.isoformat(), exc_info=error)
    job.tick.skip(job.due_at, f"{type(error).__name__}: {error}")


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
