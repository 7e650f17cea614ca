"""``bridge``: dials, shadows and the switch of the bridge from Celery."""

from difflib import get_close_matches
from typing import Any

import click

from workrow.celery.bridge.dials import EVERY, OLD_SECONDS
from workrow.celery.bridge.parity import aligned, parity, table


@click.group()
def bridge() -> None:
    """Say how many calls of a running Celery come here; read by its producers every two seconds."""


def _check(app: Any, task: str) -> None:
    """With an app that has tasks of its own, a name that is none of them is a slip."""
    app.finalize()
    own = sorted(name for name in app.tasks if not name.startswith("celery."))
    if task == EVERY or task in app.tasks:
        return
    if not own:
        told = f"whether there is a task {task} is not known here: -A MODULE before 'bridge' has it checked"
        click.echo(told, err=True)
        return
    near = get_close_matches(task, own)
    known = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(own[:10])}"
    raise click.BadParameter(f"{task}: no task of the app; {known}", param_hint="TASK")


@bridge.command()
@click.argument("task")
@click.argument("percent", type=click.FloatRange(0, 100))
@click.option("--by", "argument", help="Calls in which this argument is the same go to the same side; '' for none.")
@click.pass_obj
def dial(app: Any, /, task: str, percent: float, argument: str | None) -> None:
    """Send PERCENT of the calls of TASK here; TASK '*' is every one that is not named."""
    _check(app, task)
    app.store.run("celery_dial", task=task, percent=percent, sticky_by=argument, shadow=None)
    click.echo(f"{percent:g} % of the calls of {task} come here, after {OLD_SECONDS:g} s at most")


@bridge.command()
@click.argument("task")
@click.argument("percent", type=click.FloatRange(0, 100))
@click.pass_obj
def shadow(app: Any, /, task: str, percent: float) -> None:
    """Run PERCENT of the calls of TASK that go to the old broker here as well, and roll that back."""
    _check(app, task)
    app.store.run("celery_dial", task=task, percent=None, sticky_by=None, shadow=percent)
    click.echo(f"{percent:g} % of the calls of {task} that go to the old broker are compared")


@bridge.command()
@click.pass_obj
def off(app: Any, /) -> None:
    """Send all calls to the old broker, whatever the dials say."""
    app.store.run("celery_switch", is_on=False)
    click.echo(f"all calls go to the old broker, after {OLD_SECONDS:g} s at most; what is here goes on")


@bridge.command()
@click.pass_obj
def on(app: Any, /) -> None:
    """Heed the dials again."""
    app.store.run("celery_switch", is_on=True)
    click.echo(f"the dials are heeded, after {OLD_SECONDS:g} s at most")


@bridge.command("list")
@click.pass_obj
def list_(app: Any, /) -> None:
    """Print the dials."""
    rows = app.store.run("celery_dials")
    if not rows:
        click.echo("no dial is set: all calls go to the old broker")
        return
    lines: list[tuple[str, ...]] = [("task", "here %", "sticky by", "shadow %", "changed at")]
    for task, percent, sticky_by, percent_of_shadows, _, changed_at in rows:
        numbers = ["-" if each is None else f"{each:g}" for each in (percent, percent_of_shadows)]
        lines.append((task, numbers[0], sticky_by or "-", numbers[1], f"{changed_at:%Y-%m-%d %H:%M:%S%z}"))
    click.echo(aligned(lines))
    if not rows[0][4]:
        click.echo("the bridge is off: all calls go to the old broker")


@bridge.command()
@click.pass_obj
def report(app: Any, /) -> None:
    """Print how the runs here compare with those of Celery, task by task."""
    click.echo(table(parity(app)))
