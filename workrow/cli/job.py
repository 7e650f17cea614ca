"""``workrow job`` and ``workrow retry``: one job's story, what it is told, and its second chance."""

import json
import sys
from datetime import datetime
from typing import Any

import click
from psycopg.rows import dict_row

from workrow import sql
from workrow.cli.jobs import each_job
from workrow.cli.numbers import JOB_ID
from workrow.cli.where import Database
from workrow.enqueue.signal import signal
from workrow.errors import JobNotFound
from workrow.job import Progress
from workrow.logs import printable
from workrow.results.results import as_progress
from workrow.schema import check
from workrow.schema.targets import connect

Row = dict[str, Any]
BAR = 20
"""Characters of a progress bar."""


class _ShowsByDefault(click.Group):
    """A group with a command that needs no name: ``workrow job ID``."""

    default = "show"

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.commands or args[0] in context.help_option_names)
        return super().parse_args(context, args if named else [self.default, *args])


@click.group(cls=_ShowsByDefault)
def job() -> None:
    """Show one job, `workrow job ID` for short; or send it a signal."""


@job.command()
@click.argument("job_id", type=JOB_ID, metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--tracebacks", is_flag=True, help="Print the traceback of every attempt, not of the last one.")
@click.pass_obj
def show(database: Database, job_id: int, as_json: bool, tracebacks: bool) -> None:
    """Show one job: its status, its progress, its result and its errors."""
    found = read(database.url, job_id)
    if as_json:
        click.echo(json.dumps(found, default=lambda value: value.isoformat(), ensure_ascii=False, indent=2))
        return
    click.echo(printable(f"{found['task']}[{found['id']}] {found['status']}, queue {found['queue']}"))
    for name, value in found.items():
        if name not in ("id", "task", "queue", "status", "errors", "progress") and value not in (None, 0):
            click.echo(f"  {name:<14}{_shown(value)}")
    if progress := as_progress(found["progress"]):
        click.echo(f"  {'progress':<14}{_bar(progress)}")
    errors = found["errors"] or []
    for number, error in enumerate(errors, 1):
        _tell(error, traceback=tracebacks or number == len(errors))


@job.command("signal")
@click.argument("job_id", type=JOB_ID, metavar="ID")
@click.argument("name")
@click.option("--payload", metavar="JSON", default="null", show_default=True, help="What `ctx.wait_for` returns.")
@click.pass_obj
def signal_(database: Database, job_id: int, name: str, payload: str) -> None:
    """Send a job a signal: it wakes one that waits for it, and is kept for one that does not wait yet."""
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(
            f"{payload!r} is no JSON ({error}); write text as '\"text\"'.", param_hint="--payload"
        ) from None
    with connect(database.url) as connection:
        check(connection)
        signal(connection, job_id, name, value)
    click.echo(printable(f"{job_id}: signal {name} sent"))


@click.command()
@click.argument("ids", nargs=-1, required=True, type=JOB_ID, metavar="ID…")
@click.pass_obj
def retry(database: Database, ids: tuple[int, ...]) -> None:
    """Let jobs that failed, were cancelled or aborted run again, now and under their own ids."""
    told = {
        "queued": "queued",
        "blocked": "blocked: a newer job waits under its queueing lock or unique key",
        None: "has not failed: it waits, runs, has succeeded or never existed",
    }
    verdicts = each_job(database, "requeue_job", ids)
    for job_id, verdict in verdicts.items():
        click.echo(f"{job_id}: {told.get(verdict, f'its workflow: {verdict}')}")
    sys.exit(any(verdict != "queued" for verdict in verdicts.values()))


def read(url: str, job_id: int) -> Row:
    """The job's row of ``workrow.jobs``.

    Raises:
        JobNotFound: there is none.
        DatabaseUnavailable: nothing answers at the URL.
        SchemaError: its schema is not the one that this package works with.
    """
    with connect(url) as connection:
        check(connection)
        found = connection.cursor(row_factory=dict_row).execute(sql.load("read_job"), {"id": job_id}).fetchone()
    if found is None:
        raise JobNotFound(f"there is no job {job_id}: it was deleted, its history was dropped, or it never existed")
    return found


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f%z}"
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _bar(progress: Progress) -> str:
    of = "" if progress.total is None else f" of {progress.total:g}"
    text = (
        f"{progress.done:g}{of}{f': {printable(progress.message)}' if progress.message else ''}, {_shown(progress.at)}"
    )
    if progress.fraction is None:
        return text
    full = round(BAR * min(1.0, max(0.0, progress.fraction)))
    return f"[{'#' * full}{'.' * (BAR - full)}] {progress.fraction:.0%}, {text}"


def _tell(error: Row, *, traceback: bool) -> None:
    said = f"{error.get('attempt')}, {error.get('at')}: {error.get('type')}: {error.get('message')}"
    click.echo(f"  attempt {printable(said)}")
    if traceback and error.get("traceback"):
        click.echo(
            "".join(f"    {printable(line)}\n" for line in error["traceback"].rstrip("\n").split("\n")), nl=False
        )
