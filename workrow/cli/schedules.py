"""``workrow schedules``: what is enqueued by time, and what an operator does about it."""

import dataclasses
import getpass
import json
import re
from datetime import datetime, timedelta
from typing import Any

import click

from workrow.app import App
from workrow.cli.numbers import COUNT, PRIORITY
from workrow.cli.where import Database
from workrow.logs import printable
from workrow.schedules import operations
from workrow.schedules.operations import ScheduleState, Steps, run_steps
from workrow.schema import check
from workrow.schema.targets import connect

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def interval(value: str) -> timedelta:
    """Read ``30s``, ``5m``, ``2h`` or ``1d``."""
    match = re.fullmatch(r"(\d{1,9})([smhd])", value)
    if match is None:
        raise click.BadParameter(f"{value!r}: must be a number and one of s, m, h, d, such as 30s or 2h")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def arguments(value: str) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        parsed = json.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise click.BadParameter(f"{value!r}: must be a JSON object, such as '{{\"user_id\": 1}}'")
    return parsed


@click.group()
def schedules() -> None:
    """What is enqueued by time."""


@schedules.command("list")
@click.option("--json", "as_json", is_flag=True, help="All columns, as one JSON document.")
@click.pass_obj
def list_(database: Database, as_json: bool) -> None:
    """Show all schedules, declared and dynamic."""
    states: list[ScheduleState] = _run(database, operations.read(None))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in states], default=_plain, indent=2))
        return
    for line in _table([("NAME", "TASK", "WHEN", "NEXT DUE", "LAST DUE", "JOB", "SKIPPED", ""), *map(_row, states)]):
        click.echo(printable(line))


@schedules.command()
@click.argument("name")
@click.argument("task")
@click.option("--cron", help="Five fields (minute hour day month weekday), or six with seconds first.")
@click.option("--every", type=interval, help="Once in each such interval: 30s, 5m, 2h, 1d.")
@click.option("--timezone", help="The zone that --cron is read in; UTC.")
@click.option("--args", type=arguments, help="The arguments of its jobs, as a JSON object.")
@click.option("--queue", help="Instead of the task's.")
@click.option("--priority", type=PRIORITY, help="Instead of the task's.")
@click.option("--missed", help="skip, once or all: due times that passed while no worker ran.")
@click.option("--catch-up", type=COUNT, help="With --missed=all: how many at most.")
@click.option("--max-late", type=interval, help="What is later is not made up for.")
@click.option("--overlap", help="allow, skip or queue: while the former job waits or runs.")
@click.option("--jitter", type=interval, help="Jobs start up to so long after the due time.")
@click.pass_obj
def create(database: Database, /, name: str, task: str, **options: Any) -> None:
    """Create a schedule of a task of the app (--app)."""
    given = {option: value for option, value in options.items() if value is not None}
    _run(database, operations.create(_app(database), name, task, given))
    click.echo(f"{name}: created")


@schedules.command()
@click.argument("name")
@click.option("--reason", help="Why; others see it.")
@click.option("--by", help="Who; your login by default.")
@click.pass_obj
def pause(database: Database, name: str, reason: str | None, by: str | None) -> None:
    """Enqueue nothing until it is resumed."""
    _run(database, operations.pause(name, by or _login(), reason))
    click.echo(f"{name}: paused")


@schedules.command()
@click.argument("name")
@click.pass_obj
def resume(database: Database, name: str) -> None:
    """Go on with the next due time."""
    click.echo(f"{name}: {'resumed' if _run(database, operations.resume(name)) else 'was not paused'}")


@schedules.command()
@click.argument("name")
@click.pass_obj
def run(database: Database, name: str) -> None:
    """Enqueue its job once more, now (needs --app)."""
    job = _run(database, operations.run_now(_app(database), name))
    click.echo(f"{name}: enqueued job {job.id}")


@schedules.command()
@click.argument("name")
@click.pass_obj
def delete(database: Database, name: str) -> None:
    """Delete a dynamic schedule, or a declared one that the code has no longer."""
    _run(database, operations.delete(name))
    click.echo(f"{name}: deleted")


def _app(database: Database) -> App:
    app = database.load()
    import_tasks: Any = app.perform_import_paths
    import_tasks()
    return app


def _run(database: Database, steps: Steps[Any]) -> Any:
    with connect(database.url) as connection:
        check(connection)
        return run_steps(connection, steps)


def _row(state: ScheduleState) -> tuple[str, ...]:
    when = f"{state.cron} {state.timezone}" if state.cron else f"every {state.every}" if state.every else "-"
    remarks = [
        "dynamic" if state.source == "dynamic" else "",
        "ORPHANED" if state.orphaned else "",
        f"paused by {state.paused_by or '?'}" + (f": {state.pause_reason}" if state.pause_reason else "")
        if state.paused_at
        else "",
    ]
    skipped = f"{state.skipped} ({(state.skip_reason or '').partition(':')[0]})" if state.skipped else "-"
    times = (_time(state.next_due_at), _time(state.last_due_at))
    return (
        state.name,
        state.task or "-",
        when,
        *times,
        str(state.last_job_id or "-"),
        skipped,
        ", ".join(filter(None, remarks)),
    )


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _time(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S%z}" if value else "-"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value.total_seconds()


def _login() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None
