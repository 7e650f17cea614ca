"""The statements, one a file, with psycopg's named placeholders: ``%(name)s``.

What many of them say stands once, in ``fragments``: ``{ready}`` in a statement is the text of ``fragments/ready.sql``,
and ``{ready:queued}`` is the same where the table of jobs is called ``queued``.
"""

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa

# not every pair of braces: '{}' is an empty array
_FRAGMENT = re.compile(r"\{([a-z_]+)(?::(\w+))?\}")


@cache
def load(name: str) -> str:
    """The text of ``<name>.sql`` in this folder.

    Raises:
        FileNotFoundError: there is no such statement, or no fragment that it names.
    """
    return expand((resources.files(__name__) / f"{name}.sql").read_text(encoding="utf-8"))


@cache
def load_for_sqlalchemy(name: str) -> "sa.TextClause":
    """The same statement with ``:name`` placeholders, for any of SQLAlchemy's drivers."""
    import sqlalchemy as sa

    return sa.text(re.sub(r"%\((\w+)\)s", r":\1", load(name)))


def expand(statement: str) -> str:
    """The statement with its fragments filled in.

    Raises:
        FileNotFoundError: there is no fragment of that name.
    """
    return _FRAGMENT.sub(lambda match: fragment(match[1], job=match[2]), statement)


@cache
def fragment(name: str, job: str | None = None) -> str:
    """The text of ``fragments/<name>.sql``, without its comment.

    Args:
        job: what the table of jobs is called there; None: columns stand alone.

    Raises:
        FileNotFoundError: there is no such fragment.
    """
    lines = (resources.files(__name__) / "fragments" / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    text = expand("\n".join(line for line in lines if not line.startswith("--")))
    return text.replace("job.", f"{job}." if job else "")
