"""The statements that only test databases see, one a file."""

from functools import cache
from importlib import resources


@cache
def load(name: str) -> str:
    """The text of ``<name>.sql`` in this folder.

    Raises:
        FileNotFoundError: there is no such statement.
    """
    return (resources.files(__name__) / f"{name}.sql").read_text(encoding="utf-8")
