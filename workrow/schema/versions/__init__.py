"""The versions of the schema: ``v<number>/up`` and ``v<number>/down``, one statement a file, applied in name order.

Tables, columns, indexes and rows are a version's. Functions, triggers, views and comments stand once, as they are now,
in ``workrow/schema/objects``; ``objects.txt`` beside a version's statements says at which place among them which object
is made (or, on the way down, put back). A version that changes an object keeps the text that it replaces in
``v<number>/before``: so each text that ever was stands once, and what an object was at any version can be told.

A version that was released is never edited; a change is the next version. Old code must keep running on it.
"""

import re
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from importlib import resources

from workrow import sql
from workrow.schema import upstream

LATEST = 8
LOCK = "LOCK TABLE procrastinate_workers IN EXCLUSIVE MODE"
"""Before anything else: heartbeats and rescues take this table first and then others, and who takes them the other way
round meets them in a deadlock. To read it nobody waits."""


def up(version: int) -> list[str]:
    """The statements that lead from ``version - 1`` to ``version``.

    Raises:
        UpstreamMismatch: the installed procrastinate is one that this package does not know.
    """
    return [*_first(version), *_statements(version, "up", objects_of=version)]


def down(version: int) -> list[str]:
    """The statements that lead from ``version`` to ``version - 1``.

    Raises:
        UpstreamMismatch: the installed procrastinate is one that this package does not know.
    """
    return [*_first(version), *_statements(version, "down", objects_of=version - 1)]


@cache
def objects() -> dict[str, str]:
    """Every object as it is now, ``kind/name`` → statement, each after those that it needs."""
    places = [place for version in range(1, LATEST + 1) for place in sorted(_places(version, "up").items())]
    names = [name for name in dict.fromkeys(name for _, name in places) if _exists(f"objects/{name}")]
    texts = {name: _read(f"objects/{name}") for name in names}
    order = TopologicalSorter({name: needs(text, names) for name, text in texts.items()}).static_order()
    # comments and rights after everything: they go with a view that is dropped to be made again
    return {name: texts[name] for name in sorted(order, key=lambda name: name.startswith(("comments/", "rights/")))}


@cache
def indexes() -> dict[str, str]:
    """Every index that a version has made and none has dropped since, name → statement."""
    found = {}
    for version in range(1, LATEST + 1):
        folder = resources.files(__name__) / f"v{version}" / "up"
        for file in sorted(folder.iterdir(), key=lambda file: file.name):
            statement = re.sub("--.*", "", file.read_text(encoding="utf-8")).strip()
            if made := re.match(r"CREATE (?:UNIQUE )?INDEX (\w+)", statement):
                found[made[1]] = statement
            elif statement.startswith("DROP INDEX"):
                for name in re.findall(r"\w+", statement):
                    found.pop(name, None)
    return found


def needs(text: str, names: Iterable[str]) -> list[str]:
    """Which of these objects have to be there before this text is run; a body in PL/pgSQL is read when it is called."""
    code = re.sub("--.*", "", text)
    if "LANGUAGE plpgsql" in code or "COMMENT ON" in code:
        return []
    made = re.search(r"^CREATE OR REPLACE \w+ (?:workrow\.)?(\w+)", code, re.MULTILINE)
    said = set(re.findall(r"\bworkrow\.(\w+)|\b(procrastinate_\w+)", code))
    words = {word for pair in said for word in pair} - {made and made[1]}
    return [name for name in names if name.startswith(("functions/", "views/")) and name.partition("/")[2] in words]


def _first(version: int) -> list[str]:
    return [LOCK] if version > 1 else []


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
