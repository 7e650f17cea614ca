"""Schedules as they are written to the database, and as they come back."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from workrow.arguments.payload import Misfit, Payload
from workrow.arguments.secrets import concealed, masked, values_of
from workrow.database import clock
from workrow.declare.crontab import Taken, plain
from workrow.declare.schedule import Schedule
from workrow.errors import OptionError

COLUMNS = ("cron", "every", "timezone", "queue", "priority", "missed", "catch_up", "max_late", "overlap", "jitter")

INTERVALS = ("every", "max_late", "jitter")
TIMES = ("next_due_at", "last_due_at", "last_tick", "last_skipped_at", "paused_at", "created_at")


def with_intervals(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its intervals, which come as seconds: how an interval is written is the session's affair
    (IntervalStyle), and psycopg reads only one of the four ways.
    """
    return {**row, **{name: as_span(row[name]) for name in INTERVALS}}


def with_times(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same with its times, for DateStyle."""
    return {**with_intervals(row), **{name: clock.as_time(row[name]) for name in TIMES}}


def as_span(seconds: float | None) -> timedelta | None:
    """An interval that comes as seconds; of one that Python cannot hold the nearest."""
    if seconds is None:
        return None
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        return timedelta.max if seconds > 0 else timedelta.min


def as_row(schedule: Schedule, args: str, version: int | None) -> dict[str, Any]:
    """The columns of a schedule; ``args``: its arguments as they are stored, of this version of the task."""
    row = {column: getattr(schedule, column) for column in COLUMNS}
    # workers of the release before read @daily and mon-sun no other way
    cron = schedule.cron and plain(schedule.cron)
    timezone = schedule.timezone if cron else None
    return {**row, "cron": cron, "timezone": timezone, "args": args, "version": version}


def as_json(name: str, task: str, schedule: Schedule, args: str, version: int | None) -> dict[str, Any]:
    """The same for ``declare_schedules.sql``."""
    row = {
        column: f"{value.total_seconds()} seconds" if isinstance(value, timedelta) else value
        for column, value in as_row(schedule, args, version).items()
    }
    return {**row, "name": name, "task": task, "args": json.loads(args)}


def as_schedule(row: Mapping[str, Any], payload: Payload, hidden: frozenset[str]) -> Schedule:
    """The schedule of a row of ``find_due_schedules.sql``; ``payload`` and ``hidden``: its task's.

    Raises:
        OptionError: it cannot work here; such as a time zone that this machine does not have, or arguments that cannot
            be upcast.
    """
    row = with_intervals(row)
    columns = {column: row[column] for column in COLUMNS}
    columns["cron"] = columns["cron"] and Taken(columns["cron"])
    try:
        args = payload.upcasted(json.loads(row["args"]), row["version"])
    except Misfit as error:
        stored = json.loads(row["args"])
        why = concealed(str(error), values_of(stored, hidden)())
        raise OptionError(f"args={json.dumps(masked(stored, hidden))}: {why}") from None
    return Schedule(**{**columns, "timezone": row["timezone"] or "UTC"}, args=args)
