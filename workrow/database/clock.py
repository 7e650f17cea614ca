"""The wall clock by which Python decides what is due. The database has its own, which decides everything else."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Self, overload

Reading = Callable[[], datetime]

_moved: Reading | None = None

# read for every job, so without a frame of ours around the call
steady: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Seconds of a clock that never steps, and where there is one (Linux) goes on while the machine is suspended."""


def now() -> datetime:
    """This moment in UTC; under `workrow.testing`'s time travel, the one that the test has set."""
    return datetime.now(UTC) if _moved is None else _moved()


@overload
def as_time(epoch: float) -> datetime: ...


@overload
def as_time(epoch: None) -> None: ...


def as_time(epoch: float | None) -> datetime | None:
    """A time in UTC that comes as seconds since 1970; of one that Python cannot hold the nearest."""
    if epoch is None:
        return None
    try:
        return datetime.fromtimestamp(epoch, UTC)
    except (OverflowError, ValueError, OSError):
        return (datetime.max if epoch > 0 else datetime.min).replace(tzinfo=UTC)


class Later(datetime):
    """So many seconds after the statement that writes it, by the database's clock; read as a datetime, by ours.

    Attributes:
        seconds: None for what was computed from one: that is a time as any other.
    """

    seconds: float | None = None

    @classmethod
    def after(cls, seconds: float) -> Self:
        """So many seconds from now.

        Raises:
            OverflowError: there is no such time.
        """
        at = now() + timedelta(seconds=seconds)
        later = cls.combine(at.date(), at.timetz())
        later.seconds = seconds
        return later


def parted(at: datetime | None) -> tuple[datetime | None, float | None]:
    """A time as the two parameters of a statement: when, or in how many seconds."""
    seconds = at.seconds if isinstance(at, Later) else None
    return (at, None) if seconds is None else (None, seconds)


def move(reading: Reading | None) -> Reading | None:
    """Let `now` return what ``reading()`` returns, in this process; None: the real time. For tests alone.

    Returns:
        What was set before.
    """
    global _moved
    before, _moved = _moved, reading
    return before
