"""The due times of a crontab line in a time zone, across the changes of its clock.

CronSim says which times of day match, on a clock that never changes; here they become moments:

- A line of fixed hours and minutes means times of day. One that the clock skips is due at the end of the gap, one that
  comes twice is due the first time: as Debian's cron has it.
- A line whose hour or minute begins with ``*`` means intervals: due whenever the clock on the wall matches.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim

SHIFT = timedelta(hours=4)
"""More than any zone's clock was ever set forward or back at once."""
SECOND = timedelta(seconds=1)


def following(expression: str, timezone: str, now: datetime) -> datetime | None:
    """The first due time after ``now``; None: never."""
    return _following(expression, timezone, now.astimezone(UTC))


def latest(expression: str, timezone: str, now: datetime) -> datetime | None:
    """The last due time at or before ``now``; None: never."""
    zone = ZoneInfo(timezone)
    # CronSim looks strictly before the moment it is given, in whole seconds
    start = _local(now + SECOND, zone).replace(microsecond=0)
    match = next(CronSim(expression, start, reverse=True), None)
    if match is None:
        return None
    due = (match - _offset(now, zone)).replace(tzinfo=UTC)
    if _offset(due - SHIFT, zone) == _offset(now, zone) and _change(zone, due, now) is None:
        return due
    # near a change, walk over it forwards; and so much earlier that what it moved is among what is passed
    found = next(CronSim(expression, match - 2 * SHIFT, reverse=True), None)
    before = due - 3 * SHIFT if found is None else found.replace(tzinfo=UTC) - _offset(now, zone) - 2 * SHIFT
    due_at: datetime | None = None
    after = following(expression, timezone, before)
    while after is not None and after <= now:
        due_at, after = after, following(expression, timezone, after)
    return due_at


@lru_cache(maxsize=4096)  # many schedules share a line and a moment
def _following(expression: str, timezone: str, now: datetime) -> datetime | None:
    zone = ZoneInfo(timezone)
    fields = expression.split()[-5:]
    if fields[0][0] == "*" or fields[1][0] == "*":
        return _following_interval(expression, zone, now)
    # what the clock has just skipped may be due yet
    changed = _offset(now - SHIFT, zone) != _offset(now, zone)
    for match in CronSim(expression, _local(now, zone) - (SHIFT if changed else timedelta(0))):
        due = _moment(match, zone)
        if due > now:
            return due
    return None


def _following_interval(expression: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    start, local = now, _local(now, zone)
    while True:
        match = next(CronSim(expression, local), None)
        if match is None:
            return None
        due = (match - _offset(start, zone)).replace(tzinfo=UTC)
        change = _change(zone, start, due)
        if change is None:
            return due
        start, local = change, _local(change, zone) - SECOND


def _moment(local: datetime, zone: ZoneInfo) -> datetime:
    """When a clock in the zone shows this time first; the end of the gap, if it skips it."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    if _local(moment, zone) == local:
        return moment
    return _change(zone, moment - SHIFT, moment) or moment


def _change(zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """When the zone's clock is changed for the first time in this period."""
    offset = _offset(after, zone)
    start = after
    while start < until:
        end = min(start + timedelta(days=1), until)
        if _offset(end, zone) != offset:
            low, high = int(start.timestamp()), int(end.timestamp())
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (
                    (middle, high) if _offset(datetime.fromtimestamp(middle, UTC), zone) == offset else (low, middle)
                )
            return datetime.fromtimestamp(high, UTC)
        start = end
    return None


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
