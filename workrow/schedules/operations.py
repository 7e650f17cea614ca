"""What is done to schedules, step by step: the same for async transactions and sync ones."""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar, cast

import procrastinate
from procrastinate.connector import BaseConnector

from workrow.arguments.jsonb import dump_arguments
from workrow.database import clock
from workrow.declare.schedule import Schedule, ScheduleOptions
from workrow.enqueue import transaction
from workrow.enqueue.call import Call
from workrow.enqueue.transaction import AsyncTransaction, Rows, SyncTransaction
from workrow.errors import OptionError, ScheduleExists, ScheduleNotFound, check_names_known
from workrow.job import Job
from workrow.schedules.rows import as_row, as_schedule, with_times
from workrow.tasks import Task

T = TypeVar("T")

NAME_MOST = 200


class Owner(Protocol):
    """What is needed of the app."""

    connector: BaseConnector
    tasks: dict[str, procrastinate.tasks.Task[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """A row of the view ``workrow.schedules``; docs/monitoring.md says what its columns are."""

    name: str
    task: str | None
    source: str
    cron: str | None
    every: timedelta | None
    timezone: str | None
    args: Mapping[str, Any]
    queue: str | None
    priority: int | None
    missed: str | None
    catch_up: int | None
    max_late: timedelta | None
    overlap: str | None
    jitter: timedelta | None
    next_due_at: datetime | None
    last_due_at: datetime | None
    last_job_id: int | None
    last_tick: datetime
    skipped: int
    last_skipped_at: datetime | None
    skip_reason: str | None
    paused_at: datetime | None
    paused_by: str | None
    pause_reason: str | None
    orphaned: bool
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Statement:
    """A step that runs ``<name>.sql``."""

    name: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Enqueue:
    """A step that enqueues one job."""

    call: Call[..., Any]
    args: dict[str, Any]


STATE = tuple(ScheduleState.__dataclass_fields__)
"""The columns of ``read_schedules.sql``."""
LOCKED = (
    "dynamic", "task", "cron", "every", "timezone", "args", "queue", "priority", "missed", "catch_up", "max_late",
    "overlap", "jitter", "version", "now",
)  # fmt: skip
"""The columns of ``lock_schedule.sql``."""
Steps = Generator[Statement | Enqueue, Any, T]
"""What an operation does, for an async transaction and a sync one alike: each step is sent its rows, or its job."""


async def run_steps_async(on: AsyncTransaction, steps: Steps[T]) -> T:
    """Take the steps in the transaction of ``on``."""
    answer: Any = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return cast("T", end.value)
        if isinstance(step, Enqueue):
            answer = await step.call.enqueue(on, **step.args)
        else:
            answer = await transaction.run_async(on, step.name, step.params)


def run_steps(on: SyncTransaction, steps: Steps[T]) -> T:
    """The same, blocking."""
    answer: Any = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return cast("T", end.value)
        if isinstance(step, Enqueue):
            answer = step.call.enqueue(on, **step.args)
        else:
            answer = transaction.run(on, step.name, step.params)


def create(app: Owner, name: str, task: Task[..., Any] | str, options: Mapping[str, Any]) -> Steps[None]:
    """See `workrow.schedules.Schedules.create_async`."""
    _check_name(name)
    known = _task(app, task)
    if "name" in options:
        raise OptionError("a schedule that is created has one name, its first argument; name=… is for declared ones")
    check_names_known("option", options, ScheduleOptions.__annotations__)
    schedule = Schedule(**options)
    params = _params(name, known, schedule, clock.as_time((yield Statement("database_time", {}))[0][0]))
    rows: Rows = yield Statement("create_schedule", {**params, "task": known.name})
    if not rows:
        raise ScheduleExists(f"schedule {name!r}: the name is taken; choose another one, update it or delete it")


def update(app: Owner, name: str, changes: Mapping[str, Any]) -> Steps[None]:
    """See `workrow.schedules.Schedules.update_async`."""
    row = yield from _locked(name)
    if not row["dynamic"]:
        raise OptionError(f"schedule {name!r} is declared by a task: change it in the code; it can be paused here")
    known = _task(app, row["task"])
    before = as_schedule(row, known.payload, known.hidden)
    schedule = before.changed(changes)
    params = _params(name, known, schedule, row["now"])
    yield Statement("update_schedule", {**params, "retimed": schedule.timing != before.timing})


def pause(name: str, by: str | None, reason: str | None) -> Steps[None]:
    """See `workrow.schedules.Schedules.pause_async`."""
    if not (yield Statement("pause_schedule", {"schedule": name, "actor": by, "reason": reason}))[0][0]:
        raise _unknown(name)


def resume(name: str) -> Steps[bool]:
    """See `workrow.schedules.Schedules.resume_async`."""
    if (yield Statement("resume_schedule", {"schedule": name}))[0][0]:
        return True
    yield from _locked(name)
    return False


def run_now(app: Owner, name: str) -> Steps[Job[Any]]:
    """See `workrow.schedules.Schedules.run_now_async`."""
    row = yield from _locked(name)
    known = _task(app, row["task"])
    options = {option: row[option] for option in ("queue", "priority") if row[option] is not None}
    if row["overlap"] == "queue":
        options["lock"] = f"schedule:{name}"
    args = as_schedule(row, known.payload, known.hidden).args
    job: Job[Any] = yield Enqueue(
        known.options(**options).taking_json(), {**args, **known.due_arguments(row["now"], args)}
    )
    yield Statement("note_schedule_run", {"schedule": name, "job_id": job.id})
    return job


def delete(name: str) -> Steps[None]:
    """See `workrow.schedules.Schedules.delete_async`."""
    if not (yield Statement("delete_schedule", {"schedule": name}))[0][0]:
        yield from _locked(name)
        raise OptionError(
            f"schedule {name!r} is declared by a task: take it out of the code, or pause it; it can be deleted 90 s "
            "after the last worker that declares it has stopped"
        )


def read(name: str | None) -> Steps[list[ScheduleState]]:
    """See `workrow.schedules.Schedules.list_async`."""
    rows: Rows = yield Statement("read_schedules", {"schedule": name})
    states = [with_times(dict(zip(STATE, row, strict=True))) for row in rows]
    return [ScheduleState(**{**state, "args": _loaded(state["args"])}) for state in states]


def _locked(name: str) -> Steps[dict[str, Any]]:
    rows: Rows = yield Statement("lock_schedule", {"schedule": name})
    if not rows:
        raise _unknown(name)
    row = dict(zip(LOCKED, rows[0], strict=True))
    return {**row, "now": clock.as_time(row["now"])}


def _params(name: str, task: Task[..., Any], schedule: Schedule, now: datetime) -> dict[str, Any]:
    try:
        args = dump_arguments(task.name, task.check_schedule(schedule), hidden=task.hidden)
    except OptionError as error:
        raise OptionError(f"schedule {name!r}: {error}") from None
    return {
        **as_row(schedule, args, task.payload.stored_version),
        "schedule": name,
        "now": now,
        "next_due": schedule.timing.following(now),
    }


def _task(app: Owner, task: Task[..., Any] | str) -> Task[..., Any]:
    name = task if isinstance(task, str) else task.name
    found = app.tasks.get(name)
    if not isinstance(found, Task):
        raise OptionError(f"task={name!r}: this app has no such task; declare it on the app, or include its blueprint")
    return found


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name or "\x00" in name or len(name) > NAME_MOST:
        raise OptionError(f"name={name!r:.80}: must be a string of 1 to {NAME_MOST} characters without NUL")


def _unknown(name: str) -> ScheduleNotFound:
    return ScheduleNotFound(f"schedule {name!r}: there is none of that name; `workrow schedules list` shows all")


def _loaded(value: Any) -> Any:
    # asyncpg gives jsonb as text
    return json.loads(value) if isinstance(value, str) else value
