"""The versions of the schema: ``v<number>/up`` and ``v<number>/down``, one statement a file, applied in name order.

A version that was released is never edited; a change is the next version. Old code must keep running on it.
"""

import re
from importlib import resources

from workrow.schema import upstream

LATEST = 5


def up(version: int) -> list[str]:
    """The statements that lead from ``version - 1`` to ``version``.

    Raises:
        UpstreamMismatch: the installed procrastinate is one that this package does not know.
    """
    return _statements(version, "up")


def down(version: int) -> list[str]:
    """The statements that lead from ``version`` to ``version - 1``.

    Raises:
        UpstreamMismatch: the installed procrastinate is one that this package does not know.
    """
    return _statements(version, "down")


def _statements(version: int, direction: str) -> list[str]:
    files = (resources.files(__name__) / f"v{version}" / direction).iterdir()
    return [
        re.sub(r"%\(([\w:/.]+)\)s", _placeholder, file.read_text(encoding="utf-8").strip())
        for file in sorted(files, key=lambda file: file.name)
        if file.name.endswith(".sql")
    ]


def _placeholder(match: re.Match[str]) -> str:
    """What a file leaves to this package: procrastinate's text or a part of it, or another file's, once more."""
    name = match[1]
    if name.startswith("again:"):
        return _again((resources.files(__name__) / name.removeprefix("again:")).read_text(encoding="utf-8").strip())
    text, release = upstream.read()
    if name == "upstream_version":
        return f"'{release}'"
    if name == "upstream_schema":
        return f"$upstream${text}$upstream$"
    parts = "\n".join(map(_again, upstream.parts(text, name.removeprefix("upstream_"))))
    return f"DO $restore$\nBEGIN\nEXECUTE $upstream${parts}$upstream$;\nEND\n$restore$"


def _again(statement: str) -> str:
    return re.sub(r"^CREATE (VIEW|FUNCTION)", r"CREATE OR REPLACE \1", statement, flags=re.MULTILINE)
