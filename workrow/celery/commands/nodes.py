"""What ``multi`` is told: names of workers, and options for all of them or for some."""

import re
import shlex
import socket
import sys
from dataclasses import dataclass
from typing import NamedTuple

import click

from workrow.celery.commands.daemon import expanded
from workrow.celery.commands.worker import worker

PIDFILE, LOGFILE = "/var/run/celery/%n.pid", "/var/log/celery/%n%I.log"
OF_MAIN = ("-A", "--app", "-b", "--broker", "--result-backend", "--workdir", "--config")
"""Options that stand before the word ``worker``."""
OF_NAMES = ("--hostname", "-n", "--prefix", "--suffix", "--range-prefix")
FLAGS = {word for each in worker.params if getattr(each, "is_flag", False) for word in each.opts}
OPTION = re.compile(r"(?P<name>--?[A-Za-z][\w-]*)(?::(?P<nodes>[^=]*))?(?:=(?P<value>.*))?", re.DOTALL)


class Option(NamedTuple):
    """One of a worker's.

    Attributes:
        name: with its lines.
        nodes: names or numbers of the workers that it is for; None: all.
        value: None: it has none.
        words: as it stands on a command line.
    """

    name: str
    nodes: str | None
    value: str | None
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A worker in the background.

    Attributes:
        name: ``name@host``.
        command: that starts it.
        pidfile: where its process id is.
        logfile: where it logs.
    """

    name: str
    command: tuple[str, ...]
    pidfile: str
    logfile: str

    def __str__(self) -> str:
        return shlex.join(self.command)


def nodes_of(words: list[str], before: list[str]) -> list[Node]:
    """The workers that a command line names.

    Args:
        words: names of workers, or how many there are, and options.
        before: options that come before the word ``worker``.

    Raises:
        click.UsageError: an option is for a worker that is not named.
    """
    named, options, after = _split(words)
    about = {each.name.lstrip("-"): each.value or "" for each in options if each.name in OF_NAMES}
    host = about.get("suffix") or about.get("hostname") or about.get("n") or socket.gethostname()
    if len(named) == 1 and named[0].isdigit():
        first = about.get("range-prefix") or "celery"
        names = [f"{first}{number}@{host}" for number in range(1, int(named[0]) + 1)]
    else:
        names = [_full(about.get("prefix", "") + each, host) for each in named]
    main = [word for each in options if each.name in OF_MAIN for word in each.words]
    rest = [each for each in options if each.name not in (*OF_MAIN, *OF_NAMES)]
    for each in rest:
        _check(each, names)
    return [_node(name, names, [*before, *main], rest, after) for name in names]


def _split(words: list[str]) -> tuple[list[str], list[Option], list[str]]:
    """Names, options, and what stands after ``--``."""
    named, options = [], []
    words, after = (words[: words.index("--")], words[words.index("--") :]) if "--" in words else (words, [])
    left = iter(words)
    for word in left:
        found = OPTION.fullmatch(word)
        if not found:
            named.append(word)
            continue
        name, nodes, value = found["name"], found["nodes"], found["value"]
        if value is not None:
            said: tuple[str, ...] = (f"{name}={value}",)
        elif name in FLAGS:
            said = (name,)
        else:
            value = next(left, None)
            if value is None:
                raise click.UsageError(f"{word}: needs a value")
            said = (name, value)
        options.append(Option(name, nodes, value, said))
    return named, options, after


def _full(name: str, host: str) -> str:
    name = name if "@" in name else f"{name}@{host}"
    return name.replace("%h", socket.gethostname())


def _check(option: Option, names: list[str]) -> None:
    for one in (option.nodes or "").split(","):
        if one and not any(_is_for(one, name, names) for name in names):
            raise click.UsageError(f"{option.name}:{option.nodes}: there is no worker {one} in {', '.join(names)}")


def _is_for(one: str, name: str, names: list[str]) -> bool:
    """Whether ``3``, ``1-3`` or a name means this worker."""
    first, _, last = one.partition("-")
    if first.isdigit() and (last.isdigit() or not last):
        return int(first) <= names.index(name) + 1 <= int(last or first)
    return one in (name, name.partition("@")[0])


def _node(name: str, names: list[str], main: list[str], options: list[Option], after: list[str]) -> Node:
    chosen: dict[str, tuple[bool, Option]] = {}
    for each in options:
        special = each.nodes is not None
        if special and not any(_is_for(one, name, names) for one in each.nodes.split(",")):  # type: ignore[union-attr]
            continue
        if special or not chosen.get(each.name, (False,))[0]:
            chosen[each.name] = special, each
    told = {key: each for key, (_, each) in chosen.items()}
    pidfile = _path(told, PIDFILE, name, "--pidfile", "-p")
    logfile = _path(told, LOGFILE, name, "--logfile", "-f")
    said = [word for each in told.values() for word in each.words]
    python = told["--executable"].value if "--executable" in told else None
    command = [python or sys.executable, "-m", "workrow.celery", *main, "worker", "--detach", *said]
    ending = ["-n", name.replace("%", "%%"), f"--pidfile={pidfile}", f"--logfile={logfile}", *after]
    return Node(name, (*command, *ending), pidfile, logfile)


def _path(told: dict[str, Option], default: str, name: str, *words: str) -> str:
    """A path that is given under one of these words, which is taken out of what is told; or the default."""
    given = [each.value for word in words if (each := told.pop(word, None))]
    return expanded(given[0] if given and given[0] else default, name) or ""
