"""The versions of the schema: ``v<number>/up`` and ``v<number>/down``, one statement a file, applied in name order.

Tables, columns, indexes and rows are a version's. Functions, triggers, views and comments stand once, as they are now,
in ``workrow/schema/objects``; ``objects.txt`` beside a version's statements says at which place among them which object
is made (or, on the way down, put back). A version that changes an object keeps the text that it replaces in
``v<number>/before``: so each text that ever was stands once, and what an object was at any version can be told.

A version that was released is never edited; a change is the next version. Old code must keep running on it.
"""

import re
from functools import cache
from importlib import resources

from workrow import sql
from workrow.schema import upstream

LATEST = 5


def up(version: int) -> list[str]:
    """The statements that lead from ``version - 1`` to ``version``.

    Raises:
        UpstreamMismatch: the installed procrastinate is one that this package does not know.
    """
    return _statements(version, "up", objects_of=version)


def down(version: int) -> list[str]:
    """The statements that lead from ``version`` to ``version - 1``.

    Raises:
        UpstreamMismatch: the installed procrastinate is one that this package does not know.
    """
    return _statements(version, "down", objects_of=version - 1)


@cache
def objects() -> dict[str, str]:
    """Every object as it is now, ``kind/name`` → statement, each after those that it needs."""
    places = [place for version in range(1, LATEST + 1) for place in sorted(_places(version, "up").items())]
    # the last place at which an object is made: there, all that its present text needs is there
    names = dict.fromkeys(name for _, name in reversed(places))
    return {name: _read(f"objects/{name}") for name in reversed(names) if _exists(f"objects/{name}")}


def _statements(version: int, direction: str, objects_of: int) -> list[str]:
    folder = resources.files(__name__) / f"v{version}" / direction
    files = {file.name.removesuffix(".sql"): file for file in folder.iterdir() if file.name.endswith(".sql")}
    statements = {place: _filled(file.read_text(encoding="utf-8").strip()) for place, file in files.items()}
    statements |= {place: _object(name, objects_of) for place, name in _places(version, direction).items()}
    return [statements[place] for place in sorted(statements)]


def _places(version: int, direction: str) -> dict[str, str]:
    """Place among the statements → the object that is made there."""
    path = resources.files(__name__) / f"v{version}" / direction / "objects.txt"
    return dict(line.split() for line in path.read_text(encoding="utf-8").splitlines()) if path.is_file() else {}


def _object(name: str, version: int) -> str:
    """The text of an object at a version: what the next version that changed it replaced, or else what it is now."""
    for later in range(version + 1, LATEST + 1):
        if _exists(f"versions/v{later}/before/{name}"):
            return _read(f"versions/v{later}/before/{name}")
    return _read(f"objects/{name}")


def _exists(name: str) -> bool:
    return (resources.files("workrow.schema") / f"{name}.sql").is_file()


def _read(name: str) -> str:
    return sql.expand((resources.files("workrow.schema") / f"{name}.sql").read_text(encoding="utf-8").strip())


def _filled(statement: str) -> str:
    return re.sub(r"%\((upstream_\w+)\)s", _placeholder, statement)


def _placeholder(match: re.Match[str]) -> str:
    """What a file leaves to this package: procrastinate's text, or a part of it."""
    name = match[1]
    text, release = upstream.read()
    if name == "upstream_version":
        return f"'{release}'"
    if name == "upstream_schema":
        return f"$upstream${text}$upstream$"
    parts = "\n".join(upstream.parts(text, name.removeprefix("upstream_")))
    parts = re.sub(r"^CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", parts, flags=re.MULTILINE)
    return f"DO $restore$\nBEGIN\nEXECUTE $upstream${parts}$upstream$;\nEND\n$restore$"
