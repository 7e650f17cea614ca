"""Which experiment a row is: by its id, and where it is one of a kind, with what its ``input`` says."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.celery.conformance.values import NotUnderstood

Run = Callable[..., Any]


class Experiment(NamedTuple):
    """How a row is seen.

    Attributes:
        reads: the keys of ``input`` that it takes.
        alone: it starts its own workers, on a database that has nothing in it.
        about: by how much numbers may differ, where they are seconds of a clock.
        seconds: that it takes, of those that take long.
    """

    run: Run
    reads: tuple[str, ...] = ()
    alone: bool = False
    about: float = 0
    seconds: float = 0


BY_ID: dict[str, Experiment] = {}
KINDS: list[tuple[re.Pattern[str], Experiment]] = []


def experiment(row_id: str, **how: Any) -> Callable[[Run], Run]:
    """The row of this id, which is a procedure."""

    def register(run: Run) -> Run:
        assert row_id not in BY_ID, row_id
        BY_ID[row_id] = Experiment(run, **how)
        return run

    return register


def kind(pattern: str, *reads: str, **how: Any) -> Callable[[Run], Run]:
    """All rows whose ids match, and whose ``input`` has exactly these keys; the function takes the input."""

    def register(run: Run) -> Run:
        KINDS.append((re.compile(pattern), Experiment(run, reads, **how)))
        return run

    return register


def experiment_of(row: dict[str, Any]) -> Experiment:
    """Raises NotUnderstood."""
    given = row.get("input", {})
    if row["id"] in BY_ID:
        if given:
            raise NotUnderstood(f"this row is a procedure, which takes no input: {', '.join(given)}")
        return BY_ID[row["id"]]
    of_this_name = [each for pattern, each in KINDS if pattern.fullmatch(row["id"])]
    for each in of_this_name:
        if set(each.reads) == set(given):
            return each
    if of_this_name:
        raise NotUnderstood(f"its input has {', '.join(given) or 'nothing'}, not {', '.join(of_this_name[0].reads)}")
    raise NotUnderstood("no experiment of this name is known")
