"""``multi``: workers in the background, started and stopped by their names."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from workrow.celery.commands.apps import QUIET, WORDS
from workrow.celery.commands.daemon import expanded, held_by
from workrow.celery.commands.nodes import Node, nodes_of

KINDS = (
    *("start", "stop", "stopwait", "stop_verify", "restart", "kill"),
    *("show", "names", "get", "expand"),
)
LOOK_SECONDS = 0.1
SIGNALS = {each.name.removeprefix("SIG"): each for each in signal.Signals}


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("what", type=click.Choice(KINDS))
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def multi(context: click.Context, what: str, words: tuple[str, ...]) -> None:
    """Workers in the background: start, stop, restart, kill, show, names, get NAME, expand TEXT.

    Names, or how many: `multi start 3 -A shop -c 4 -c:1 8`, `multi stopwait mail images --pidfile=/run/shop/%n.pid`.
    An option with `:` is for some of them, by number (`-c:1,3-4 8`) or by name. `-9` or `-QUIT` is the signal of stop
    and restart. Nothing is remembered: say the same names and paths again.
    """
    before, left = _before(context), [*words]
    quiet = _take(left, "-q", "--quiet") or context.meta.get(QUIET)
    for word in ("--nosplash", "--no-color", "--verbose"):
        _take(left, word)
    about = left.pop(0) if what in ("get", "expand") and left else ""
    number = _signal_in(left) if what in ("stop", "stopwait", "stop_verify", "restart") else signal.SIGKILL
    nodes = nodes_of(left, before)
    if not nodes:
        raise click.UsageError(f"multi {what}: name the workers, or say how many")
    say: Callable[[str], Any] = (lambda text: None) if quiet else click.echo
    match what:
        case "show":
            click.echo("\n".join(map(str, nodes)))
        case "names":
            click.echo("\n".join(each.name for each in nodes))
        case "expand":
            click.echo("\n".join(expanded(about, each.name) or "" for each in nodes))
        case "get":
            _get(about, nodes)
        case "start":
            context.exit(max(_start(each, say) for each in nodes))
        case "restart":
            _stop(nodes, number, say, wait=True)
            context.exit(max(_start(each, say) for each in nodes))
        case "stop" | "kill" | "stopwait" | "stop_verify":
            _stop(nodes, number, say, wait=what.startswith("stop") and what != "stop")


def _before(context: click.Context) -> list[str]:
    """What was said before the word ``multi``, for each of the workers."""
    words: list[str] = context.meta[WORDS]
    return words[: words.index("multi")]


def _take(words: list[str], *wanted: str) -> bool:
    found = [each for each in words if each in wanted]
    words[:] = [each for each in words if each not in wanted]
    return bool(found)


def _signal_in(words: list[str]) -> signal.Signals:
    """The signal that is said, as ``-9`` or ``-QUIT``, taken out; SIGTERM."""
    for each in words:
        name = each.removeprefix("-").removeprefix("SIG")
        if re.fullmatch(r"-\d+", each) and name in {str(int(known)) for known in signal.Signals}:
            found = signal.Signals(int(name))
        elif re.fullmatch(r"-[A-Z]\w+", each) and name in SIGNALS:
            found = SIGNALS[name]
        else:
            continue
        words.remove(each)
        return found
    return signal.SIGTERM


def _get(name: str, nodes: list[Node]) -> None:
    for each in nodes:
        if name in (each.name, each.name.partition("@")[0]):
            click.echo(str(each))
            return
    raise click.UsageError(f"multi get {name}: it is none of {', '.join(each.name for each in nodes)}")


def _start(node: Node, say: Callable[[str], Any]) -> int:
    for path in (node.pidfile, node.logfile):
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.ClickException(
                f"{Path(path).parent}: {error.strerror}: give --pidfile=PATH and --logfile=PATH where you may write, "
                "with %n for the worker's name"
            ) from error
    done = subprocess.run(node.command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    say(f"> {node.name}: {'OK' if done.returncode == 0 else 'FAILED'}")
    if done.returncode:
        click.echo(done.stderr.strip(), err=True)
    return done.returncode


def _stop(nodes: list[Node], number: signal.Signals, say: Callable[[str], Any], wait: bool) -> None:
    """Send the signal to those that run; with `wait`, until all have ended."""
    running = []
    for node in nodes:
        process = held_by(node.pidfile)
        if process is None:
            say(f"> {node.name}: DOWN")
            continue
        os.kill(process, number)
        say(f"> {node.name}: {number.name.removeprefix('SIG')} -> {process}")
        running.append(node)
    while wait and running:
        time.sleep(LOOK_SECONDS)
        for node in [each for each in running if held_by(each.pidfile) is None]:
            say(f"> {node.name}: OK")
            running.remove(node)
