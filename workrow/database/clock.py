"""The wall clock by which Python decides what is due. The database has its own, which decides everything else."""

from collections.abc import Callable
from datetime import UTC, datetime

Reading = Callable[[], datetime]

_moved: Reading | None = None


def now() -> datetime:
    """This moment in UTC; under `workrow.testing`'s time travel, the one that the test has set."""
    return datetime.now(UTC) if _moved is None else _moved()


def move(reading: Reading | None) -> Reading | None:
    """Let `now` return what ``reading()`` returns, in this process; None: the real time. For tests alone.

    Returns:
        What was set before.
    """
    global _moved
    before, _moved = _moved, reading
    return before
