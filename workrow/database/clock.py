"""The wall clock by which Python decides what is due. The database has its own, which decides everything else."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Reading = Callable[[], datetime]

_moved: Reading | None = None


_STEADY = getattr(time, "CLOCK_BOOTTIME", None)


def steady() -> float:
    """Seconds of a clock that never steps, and where there is one (Linux) goes on while the machine is suspended."""
    return time.monotonic() if _STEADY is None else time.clock_gettime(_STEADY)


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
