"""``report`` and ``shell``."""

import code
import importlib
import importlib.util
from typing import Any

import click

from workrow.celery import canvas
from workrow.celery.bridge.parity import parity, table
from workrow.celery.exceptions import CeleryError
from workrow.celery.foreign_errors import KombuError
from workrow.celery.report import bugreport
from workrow.errors import WorkrowError

OF_CANVAS = ("chain", "chord", "chunks", "group", "signature", "xmap", "xstarmap")


@click.command()
@click.pass_obj
def report(app: Any, /) -> None:
    """Versions, the platform and the settings without secrets: what to tell with the report of a fault.

    Where the bridge from Celery has compared runs, and the database answers, how they compare as well.
    """
    app.load()
    click.echo(bugreport(app))
    try:
        rows = parity(app)
    except (CeleryError, KombuError, WorkrowError):
        return
    if rows:
        click.echo(table(rows))


@click.command()
@click.option("-I", "--ipython", "kind", flag_value="ipython", help="IPython.")
@click.option("-B", "--bpython", "kind", flag_value="bpython", help="bpython.")
@click.option("--python", "kind", flag_value="python", help="Python's own.")
@click.option("-T", "--without-tasks", is_flag=True, help="Without the tasks as names.")
@click.pass_obj
def shell(app: Any, /, kind: str | None, without_tasks: bool) -> None:
    """A Python prompt that has the app, its tasks, and chain, group and chord as names.

    Without an option IPython or bpython is taken, if it is there.
    """
    app.load()
    names = names_in_shell(app, without_tasks)
    if kind not in (None, "python") and not _is_there(kind):
        raise click.UsageError(f"--{kind}: it is not installed here")
    kind = kind or next((each for each in ("ipython", "bpython") if _is_there(each)), "python")
    match kind:
        case "ipython":
            importlib.import_module("IPython").start_ipython(argv=[], user_ns=names)
        case "bpython":
            importlib.import_module("bpython").embed(names)
        case _:
            try:
                import readline
                import rlcompleter

                readline.set_completer(rlcompleter.Completer(names).complete)
                readline.parse_and_bind("tab:complete")
            except ImportError:
                pass
            code.interact(local=names)


def names_in_shell(app: Any, without_tasks: bool = False) -> dict[str, Any]:
    """What can be said at the prompt: tasks by the names of their functions, where these are not those of others."""
    names: dict[str, Any] = {"app": app, "celery": app, "Task": app.Task}
    names |= {each: getattr(canvas, each) for each in OF_CANVAS}
    names["subtask"] = names["signature"]
    tasks = {} if without_tasks else {each.__name__: each for each in app.tasks.values() if not _is_ours(each.name)}
    return {**tasks, **names}


def _is_ours(name: str) -> bool:
    return name.startswith(("celery.", "workrow."))


def _is_there(kind: str) -> bool:
    return importlib.util.find_spec({"ipython": "IPython"}.get(kind, kind)) is not None
