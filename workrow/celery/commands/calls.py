"""``call``, ``result`` and ``purge``."""

import json
from datetime import datetime
from typing import Any

import click

from workrow.celery.commands.apps import say


def _json(context: click.Context, option: click.Parameter, text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"{text}: no JSON: {error}") from error


def _seconds_or_time(context: click.Context, option: click.Parameter, text: str | None) -> Any:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        try:
            return datetime.fromisoformat(text)
        except ValueError as error:
            raise click.BadParameter(f"{text}: must be seconds, or a time as ISO 8601 has it") from error


@click.command()
@click.argument("name")
@click.option("-a", "--args", callback=_json, help="Positional arguments, a JSON array.")
@click.option("-k", "--kwargs", callback=_json, help="Keyword arguments, a JSON object.")
@click.option("--eta", callback=_seconds_or_time, help="When, as ISO 8601.")
@click.option("--countdown", type=float, help="Seconds from now.")
@click.option("--expires", callback=_seconds_or_time, help="Seconds, or a time, after which it does not start.")
@click.option("--serializer", default="json", hidden=True)
@click.option("--queue", help="Its queue.")
@click.option("--routing-key", hidden=True)
@click.pass_obj
def call(app: Any, /, name: str, args: Any, kwargs: Any, **options: Any) -> None:
    """Call a task by its name; prints the id of the call."""
    given = {key: value for key, value in options.items() if value is not None}
    click.echo(app.send_task(name, args=args, kwargs=kwargs, **given).id)


@click.command()
@click.argument("task_id")
@click.option("-t", "--task", hidden=True)
@click.option("--traceback", is_flag=True, help="The traceback of a failure.")
@click.pass_obj
def result(app: Any, /, task_id: str, task: str | None, traceback: bool) -> None:
    """Print what a call has come to, waiting for it."""
    found = app.AsyncResult(task_id)
    value = found.traceback if traceback else found.get()
    click.echo(json.dumps(value, default=repr))


@click.command()
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("-Q", "--queues", metavar="A,B", help="These queues.")
@click.option("-X", "--exclude-queues", metavar="A,B", help="All but these.")
@click.pass_obj
def purge(app: Any, /, force: bool, queues: str | None, exclude_queues: str | None) -> None:
    """Delete the calls that wait; there is no undo."""
    excluded = (exclude_queues or "").split(",")
    wanted = [each for each in (queues.split(",") if queues else app.router.queues()) if each not in excluded]
    if not force:
        click.confirm(f"Delete the calls that wait in {', '.join(wanted)}?", abort=True)
    say(f"{app.control.purge(wanted)} calls were deleted")
