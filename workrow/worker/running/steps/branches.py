"""Names of steps that are given none, in the branches of a task."""

import asyncio
import hashlib
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

LONGEST = 120
"""Characters of a step's name that stand in that of the next; names have up to 200."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in its task a branch is.

    Attributes:
        after: the last step with a name that ended before: its own, or of who began the branch; None: there was none.
        way: which of the branches that sleep first of all after that; the first is 1.
        slept: how many sleeps without a name there were since.
        last: the last step of all.
        whose: the branch whose step that was.
    """

    after: str | None = None
    way: int = 1
    slept: int = 0
    last: str | None = None
    whose: Any = None


_place: ContextVar[Place | None] = ContextVar("workrow_place_in_task", default=None)
"""The value is one of the asyncio task that set it, and where those begin that it starts."""


class Branches:
    """Branches of a task reach their steps in another order each time, so that a count over all of them does not tell
    whose step is whose. What does not change is what each branch has done before.

    It belongs to the asyncio task, or the thread, in which it was made: there the job's function runs.
    """

    def __init__(self) -> None:
        self._trunk = _running()

    def ended(self, name: str) -> None:
        """A step of this name has come to its end, here."""
        if _running() is not self._trunk:
            _place.set(Place(name, last=name, whose=_running()))
        elif self._trunk is not None:
            _place.set(Place(name))

    def sleep(self, taken: set[str]) -> str | None:
        """The name of the sleep that is asked for here; None in the task's own function, where sleeps are counted.

        Args:
            taken: the names that this attempt has asked for.
        """
        if _running() is self._trunk:
            return None
        here = _place.get() or Place()
        number, way = here.slept + 1, here.way
        while (name := _sleep(here.after, number, way)) in taken:
            way += 1
        _place.set(Place(here.after, way, number, name, _running()))
        return name

    def call(self, what: str) -> str:
        """What calls are counted as here; those that begin a branch are told apart by their arguments alone.

        Args:
            what: of calls of this task.
        """
        here = _place.get()
        if here is None or here.last is None or here.whose is not _running():
            return what
        return f"{what} after {_short(here.last)}"


def _sleep(after: str | None, number: int, way: int) -> str:
    count = "" if number == 1 else f" {number}"
    if after is None:
        return f"sleep{count} in branch {way}"
    return f"sleep{count} after {_short(after)}" + ("" if way == 1 else f", branch {way}")


def _short(name: str) -> str:
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 20]}...{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _running() -> Any:
    try:
        return asyncio.current_task()
    except RuntimeError:  # a sync task has a thread, and no branches
        return None
