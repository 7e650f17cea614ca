"""The versions of the schema: ``v<number>/up`` and ``v<number>/down``, one statement a file, applied in name order.

A version that was released is never edited; a change is the next version. Old code must keep running on it.
"""

from importlib import resources

from workrow.schema import upstream

LATEST = 1


def up(version: int) -> list[str]:
    """The statements that lead from ``version - 1`` to ``version``.

    Raises:
        UpstreamMismatch: the installed procrastinate is one that this package does not know.
    """
    text, release = upstream.read()
    return [
        statement.replace("%(upstream_schema)s", f"$upstream${text}$upstream$").replace(
            "%(upstream_version)s", f"'{release}'"
        )
        for statement in _statements(version, "up")
    ]


def down(version: int) -> list[str]:
    """The statements that lead from ``version`` to ``version - 1``."""
    return _statements(version, "down")


def _statements(version: int, direction: str) -> list[str]:
    files = (resources.files(__name__) / f"v{version}" / direction).iterdir()
    return [
        file.read_text(encoding="utf-8").strip()
        for file in sorted(files, key=lambda file: file.name)
        if file.name.endswith(".sql")
    ]
