"""``status``, ``inspect`` and ``control``: what workers are asked and told."""

import json
from collections.abc import Callable
from pprint import pformat
from textwrap import indent
from typing import Any

import click

from workrow.celery.commands.apps import say
from workrow.celery.worker.control import Panel

NOBODY = 69
"""The exit code where no worker replies: EX_UNAVAILABLE, as Celery's."""


AT_ONCE = ("revoke", "terminate", "revoke_by_stamped_headers")
"""Commands that the database does, whether a worker lives or not."""


class NobodyReplied(click.ClickException):
    """No worker has replied in time."""

    exit_code = NOBODY


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Those of all three."""
    for option in (
        click.option("-j", "--json", "as_json", is_flag=True, help="One JSON document."),
        click.option("-d", "--destination", metavar="A,B", help="Names of workers; all by default."),
        click.option("-t", "--timeout", type=float, default=1.0, show_default=True, help="Seconds to wait at most."),
    ):
        command = option(command)
    return command


def listing(kind: str) -> Callable[..., Any]:
    """``--list``: the commands of a kind."""

    def show(context: click.Context, option: click.Parameter, wanted: bool) -> None:
        if wanted:
            known = sorted(
                (each for each in Panel.meta.values() if each.type == kind and each.visible), key=lambda x: x.name
            )
            formatter = click.HelpFormatter()
            with formatter.section(f"{kind.capitalize()} Commands"):
                formatter.write_dl([(" ".join(filter(None, (each.name, each.signature))), each.help) for each in known])
            click.echo(formatter.getvalue(), nl=False)
            context.exit()

    return click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=show, help="List them.")


@click.command()
@options
@click.pass_obj
def status(app: Any, /, timeout: float, destination: str | None, as_json: bool) -> None:
    """Workers that live."""
    _show(_heard(app, "ping", {}, timeout, destination), as_json, with_bodies=False)


@click.command()
@click.argument("command")
@click.argument("arguments", nargs=-1)
@listing("inspect")
@options
@click.pass_obj
def inspect(
    app: Any, /, command: str, arguments: tuple[str, ...], timeout: float, destination: str | None, as_json: bool
) -> None:
    """Ask workers; `inspect --list` names the commands."""
    _show(_heard(app, command, _compiled("inspect", command, arguments), timeout, destination), as_json)


@click.command()
@click.argument("command")
@click.argument("arguments", nargs=-1)
@listing("control")
@options
@click.pass_obj
def control(
    app: Any, /, command: str, arguments: tuple[str, ...], timeout: float, destination: str | None, as_json: bool
) -> None:
    """Tell workers; `control --list` names the commands."""
    told = _compiled("control", command, arguments)
    if command not in AT_ONCE:
        _show(_heard(app, command, told, timeout, destination), as_json)
        return
    if "headers" in told:
        told["headers"] = dict(each.partition("=")[::2] for each in told["headers"])
    revoke = getattr(app.control, command)
    _show(_replied(revoke(destination=_listed(destination), reply=True, timeout=timeout, **told)), as_json)


def _compiled(kind: str, command: str, words: tuple[str, ...]) -> dict[str, Any]:
    """The arguments of a command, by their names."""
    info = Panel.meta.get(command)
    if info is None or info.type != kind:
        known = ", ".join(sorted(name for name, each in Panel.meta.items() if each.type == kind and each.visible))
        raise click.UsageError(f"Command {command} not recognized. Available {kind} commands: {known}")
    told: dict[str, Any] = {}
    for (name, made), word in zip(info.args, words, strict=False):
        try:
            told[name] = made(word)
        except ValueError as error:
            raise click.UsageError(f"{command} {info.signature}: {name}={word!r}: {error}") from error
    rest = words[len(info.args) :]
    if info.variadic:
        told[info.variadic] = [*rest]
    elif rest:
        raise click.UsageError(f"Command {command!r} takes arguments: {info.signature}")
    return told


def _heard(
    app: Any, command: str, told: dict[str, Any], timeout: float, destination: str | None
) -> list[dict[str, Any]]:
    return _replied(app.control.broadcast(command, told, _listed(destination), reply=True, timeout=timeout))


def _listed(destination: str | None) -> list[str] | None:
    return [each.strip() for each in destination.split(",")] if destination else None


def _replied(replies: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    if not replies:
        raise NobodyReplied("No nodes replied within time constraint")
    return replies


def _show(replies: list[dict[str, Any]], as_json: bool, with_bodies: bool = True) -> None:
    if as_json:
        click.echo(json.dumps({name: said for each in replies for name, said in each.items()}, default=repr))
        return
    for each in replies:
        for name, said in each.items():
            status, body = _told(said)
            click.echo(f"->  {name}: {status}")
            if with_bodies:
                click.echo(indent(body, "    "))
    say(f"\n{len(replies)} {'node' if len(replies) == 1 else 'nodes'} online.")


def _told(said: Any) -> tuple[str, str]:
    """A reply as one word, and the rest of it."""
    if isinstance(said, dict) and "error" in said:
        return "ERROR", str(said["error"])
    if isinstance(said, dict) and "ok" in said:
        return "OK", str(said["ok"])
    if isinstance(said, list):
        return "OK", "\n".join(f"* {each if isinstance(each, str) else pformat(each)}" for each in said) or "- empty -"
    return "OK", pformat(said)
