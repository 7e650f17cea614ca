"""Which due times of a schedule have jobs now, and when it is looked at next. No I/O."""

import hashlib
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from workrow.declare.schedule import Cron, Every, Schedule

GRACE = timedelta(seconds=30)
"""A due time that is later than this was missed; one that is not is enqueued, whatever is said of missed ones."""
CATCH_UP = 100
STEPS = 1000
"""So many due times in a row are walked over, and no more: each costs 20 us."""


@dataclass(frozen=True, slots=True)
class Due:
    """What a schedule has due.

    Attributes:
        times: those to enqueue, oldest first.
        missed: how many others have passed, at least: counted up to `STEPS`.
        last_missed: the latest of those.
        following: the next one; None: never again.
    """

    times: list[datetime]
    missed: int
    last_missed: datetime | None
    following: datetime | None


def due(schedule: Schedule, after: datetime, now: datetime, max_delay: timedelta) -> Due:
    """What became due later than ``after``, until ``now``.

    Args:
        schedule: the schedule.
        after: everything up to here was dealt with.
        now: the database's time.
        max_delay: how late a due time may be made up for where the schedule does not say.
    """
    allowed = schedule.max_late or (None if schedule.missed == "all" else max_delay)
    grace = GRACE if allowed is None else min(GRACE, allowed)
    limit = schedule.catch_up or CATCH_UP if schedule.missed == "all" else 1
    # at most one due time a second
    passed, times, following = _walk(schedule.timing, after, now, max(limit, int(GRACE.total_seconds()) + 1))
    latest = times[-1] if times else None
    on_time = [each for each in times if now - each <= grace]
    if schedule.missed != "skip" and len(on_time) < limit:
        times = [each for each in times[-limit:] if allowed is None or now - each <= allowed]
    else:
        times = on_time
    missed = passed - len(times)
    last_missed = None
    if missed and times:
        last_missed = _before(schedule.timing, times[0])
    elif missed:
        last_missed = latest
    return Due(times, missed, last_missed, following)


def _walk(
    timing: Cron | Every, after: datetime, now: datetime, limit: int
) -> tuple[int, list[datetime], datetime | None]:
    times: deque[datetime] = deque(maxlen=limit)
    passed = 0
    following = timing.following(after)
    while following is not None and following <= now:
        passed += 1
        if passed > STEPS:
            return passed - 1, _latest(timing, now, limit), timing.following(now)
        times.append(following)
        following = timing.following(following)
    return passed, list(times), following


def _latest(timing: Cron | Every, now: datetime, limit: int) -> list[datetime]:
    times: deque[datetime] = deque()
    latest = timing.latest(now)
    while latest is not None and len(times) < limit:
        times.appendleft(latest)
        latest = _before(timing, latest)
    return list(times)


def _before(timing: Cron | Every, moment: datetime) -> datetime | None:
    return timing.latest(moment - timedelta(microseconds=1))


def start_of(name: str, due_at: datetime, jitter: timedelta) -> datetime:
    """When the job of a due time starts: the same for every worker, spread over ``jitter``."""
    digest = hashlib.sha256(f"{name}\n{due_at.timestamp():.0f}".encode()).digest()
    return due_at + jitter * (int.from_bytes(digest[:4], "big") / 2**32)
