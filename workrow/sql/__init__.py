"""The statements, one a file, with psycopg's named placeholders: ``%(name)s``."""

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa


@cache
def load(name: str) -> str:
    """The text of ``<name>.sql`` in this folder.

    Raises:
        FileNotFoundError: there is no such statement.
    """
    return (resources.files(__name__) / f"{name}.sql").read_text(encoding="utf-8")


@cache
def load_for_sqlalchemy(name: str) -> "sa.TextClause":
    """The same statement with ``:name`` placeholders, for any of SQLAlchemy's drivers."""
    import sqlalchemy as sa

    return sa.text(re.sub(r"%\((\w+)\)s", r":\1", load(name)))
