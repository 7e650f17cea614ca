"""How runs here compare with those of Celery, task by task."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import psycopg

from workrow.celery.exceptions import OperationalError
from workrow.database.urls import libpq_url
from workrow.enqueue import transaction

PATIENCE_SECONDS = 2
"""So long a server is waited for; libpq knows no shorter time."""


class Parity(NamedTuple):
    """Of one task; see the view ``workrow.celery_parity``.

    Attributes:
        task: its name.
        compared, equal, other_result, other_error, skipped: numbers of runs.
        their_seconds: the median from due to done, with the wait in Celery's queue.
        our_seconds: the median without any wait.
        last_difference: in words.
    """

    task: str
    compared: int
    equal: int
    other_result: int
    other_error: int
    skipped: int
    their_seconds: float | None
    our_seconds: float | None
    last_difference: str | None

    @property
    def ratio(self) -> float | None:
        """Our seconds by theirs. Above 1 it is slower here; below it may be that Celery's calls have waited."""
        return self.our_seconds / self.their_seconds if self.our_seconds and self.their_seconds else None


def parity(app: Any) -> list[Parity]:
    """Of all tasks that were compared within 30 days.

    Args:
        app: of the door.

    Raises:
        OperationalError: the database cannot be reached.
        ImproperlyConfigured: the app names none.
        SchemaMissing: it has no tables of ours.
    """
    url = libpq_url(app.database_url())
    try:
        with psycopg.connect(url, connect_timeout=PATIENCE_SECONDS, autocommit=True) as connection:
            return [Parity(*row) for row in transaction.run(connection, "celery_parity", {})]
    except psycopg.OperationalError as error:
        raise OperationalError(f"the database cannot be reached: {error}") from error


def table(rows: Iterable[Parity]) -> str:
    """For people: a line a task, and below it what differed last."""
    heads = ("task", "compared", "equal", "other result", "other error", "skipped", "Celery s", "here s", "ratio")
    lines: list[tuple[str, ...]] = [heads]
    told: list[str] = []
    for each in rows:
        numbers = (each.their_seconds, each.our_seconds, each.ratio)
        shown = ("-" if number is None else f"{number:.3f}" for number in numbers)
        counts = (each.compared, each.equal, each.other_result, each.other_error, each.skipped)
        lines.append((each.task, *map(str, counts), *shown))
        if each.last_difference:
            told.append(f"{each.task}: {each.last_difference}")
    if len(lines) == 1:
        return "nothing was compared: python -m workrow.celery bridge shadow TASK PERCENT"
    return "\n".join([aligned(lines), *told])


def aligned(lines: list[tuple[str, ...]]) -> str:
    """Columns, the first to the left and the others to the right."""
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if not at else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
