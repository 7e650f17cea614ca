"""What experiments of a lane share: its store, its journal, its worker."""

import os
from functools import cache
from typing import Any

from tests.celery.conformance.journal import journal, notes
from tests.celery.conformance.looking import until
from tests.celery.conformance.words import REAL
from tests.celery.conformance.workers import Running

if REAL:
    from tests.celery.conformance.real import Store
else:
    from tests.celery.conformance.door import Store

standing: list[Running] = []
"""The worker that rows share."""


@cache
def store() -> Store:
    return Store(os.environ["CONFORMANCE_URL"])


def begin() -> None:
    """Forget what was written down before."""
    journal.begin()


def runs(task_id: Any) -> list[dict[str, Any]]:
    return notes(kind="start", id=task_id)


def rest(seconds: float = 12) -> bool:
    """Wait until nothing waits or runs; whether it came to that. Looks four times, as a call may be on its way."""
    calm = 0

    def is_calm() -> bool:
        nonlocal calm
        busy = store().busy() or len(notes(kind="start")) > len(notes(kind="end"))
        calm = 0 if busy else calm + 1
        return calm >= 4

    return bool(until(is_calm, seconds))


def signals_of(task_id: Any, where: str = "worker") -> list[str]:
    return [entry["name"] for entry in notes(kind="signal", id=task_id, where=where)]
