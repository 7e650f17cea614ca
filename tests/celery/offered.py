"""Which of Celery's names the door has, and what docs/from-celery.md says of them."""

import inspect
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from workrow.celery.commands import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "from-celery.md"
HEADING = "## Every name\n"
NAMES: dict[str, list[str]] = json.loads((Path(__file__).parent / "data" / "celery_names.json").read_text())["names"]
VERDICTS = ("supported", "differs", "refused")
ROW = re.compile(r"^\| (?P<names>`[^|]+`) \| (?P<verdict>[^|]+) \| (?P<note>[^|]*) ?\|$", re.MULTILINE)
PLACES = {
    "Celery": "app", "Task": "task", "Signature": "canvas", "chain": "canvas:_chain", "group": "canvas",
    "chord": "canvas:_chord", "chunks": "canvas", "StampingVisitor": "canvas", "AsyncResult": "result",
    "ResultSet": "result", "GroupResult": "result", "EagerResult": "result", "Control": "control",
    "Inspect": "inspecting", "crontab": "schedules", "schedule": "schedules", "solar": "schedules",
}  # fmt: skip
"""Where the door has the classes, if it has them."""


class Row(NamedTuple):
    groups: list[str]
    patterns: list[str]
    verdict: str
    note: str

    def names(self) -> Iterator[tuple[str, str]]:
        """Group and name of what it speaks of."""
        for group, names in NAMES.items():
            if any(fnmatchcase(group, pattern) for pattern in self.groups):
                for name in names:
                    if any(fnmatchcase(name, pattern) for pattern in self.patterns):
                        yield group, name


def rows() -> Iterator[Row]:
    """The lines of the page's tables; what is above one says of which groups its names are."""
    for section in PAGE.read_text().partition(HEADING)[2].split("\n### ")[1:]:
        heading, _, text = section.partition("\n")
        for found in ROW.finditer(text):
            groups, names = (re.findall("`([^`]+)`", each) for each in (heading, found["names"]))
            yield Row(groups, names, found["verdict"], found["note"].strip())


def is_offered(group: str, name: str) -> bool:
    """Whether `workrow.celery` has it."""
    if group == "celery" or group.startswith("celery."):
        return _has(f"workrow.{group}", name)
    if group.endswith("."):
        module, _, renamed = PLACES[group[:-1]].partition(":")
        kind = _get(f"workrow.celery.{module}", renamed or group[:-1])
        return kind is not None and (hasattr(kind, name) or name in _set_by(kind))
    if group == "commands":
        return name == "celery" or name.partition(" ")[2] in main.commands
    if (command := main.commands.get(group.removeprefix("options of celery "))) is not None:
        return name.lower() in {word for each in command.params for word in (*each.opts, each.name or "")}
    return name.strip("-").replace("-", "_").lower() in words()


def is_asked(group: str) -> bool:
    """Whether `is_offered` asks the door itself; of options and commands it only finds the word in the code."""
    return group.endswith(".") or group in ("celery", "commands") or group.startswith("celery.")


def _get(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module), name, None)
    except ModuleNotFoundError:
        return None


def _has(module: str, name: str) -> bool:
    found = _get(module, name)
    # a module of ours may have the name of another thing of Celery's; a proxy is not asked what it stands for
    return found is not None and not issubclass(type(found), ModuleType)


def _set_by(kind: type) -> set[str]:
    """What its instances have: annotated, or set by `__init__`."""
    found: set[str] = set()
    for base in kind.__mro__:
        found |= set(vars(base).get("__annotations__", ()))
        if inspect.isfunction(made := vars(base).get("__init__")):
            found |= set(re.findall(r"self\.(\w+)\b[^=\n]* = ", inspect.getsource(made)))
    return found


@cache
def words() -> set[str]:
    """All words in the code of the door."""
    texts = (path.read_text() for path in (ROOT / "workrow" / "celery").rglob("*.py"))
    return {word.lower() for text in texts for word in re.findall(r"\w+", text.replace("-", "_"))}
