"""When people may be called: hours of the week, as the clock on the wall of the person called shows them."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EXAMPLE = "mon-fri 09:00-18:00, sat 10:00-14:00"
_PART = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? (\d\d):(\d\d)-(\d\d):(\d\d)")


class UnknownZone(ValueError):
    """There is no such time zone."""


@dataclass(frozen=True)
class OpeningHours:
    """Hours of the week.

    Attributes:
        spans: weekday (0 is Monday), first minute of the day, minute at which it is over (1440 at most).
    """

    spans: tuple[tuple[int, int, int], ...]

    def is_open(self, zone: ZoneInfo, moment: datetime) -> bool:
        """Whether the clock on the wall in the zone shows a time within the hours."""
        local = moment.astimezone(zone)
        minute = local.hour * 60 + local.minute
        return any(day == local.weekday() and start <= minute < end for day, start, end in self.spans)

    def next_opening(self, zone: ZoneInfo, moment: datetime) -> datetime:
        """The first moment from this one on that is within the hours; the moment itself if it is.

        Where the clock is set forward over an opening, that is the moment it is set; where it is set back into the
        hours, they open again.
        """
        if self.is_open(zone, moment):
            return moment
        today = moment.astimezone(zone).date()
        for day in (today + timedelta(days=ahead) for ahead in range(15)):
            found = [each for each in self._candidates(zone, day) if each >= moment and self.is_open(zone, each)]
            if found:
                return min(found)
        raise AssertionError(f"{self} never open")  # `parse` takes no hours without a span

    def _candidates(self, zone: ZoneInfo, day: date) -> list[datetime]:
        """The moments at which they can begin to be open on this day."""
        starts = [time(start // 60, start % 60) for weekday, start, _ in self.spans if weekday == day.weekday()]
        return [_instant(zone, day, each, fold) for each in starts for fold in (0, 1)] + _clock_change(zone, day)


def _instant(zone: ZoneInfo, day: date, at: time, fold: int = 0) -> datetime:
    return datetime.combine(day, at, zone).replace(fold=fold).astimezone(UTC)


def _clock_change(zone: ZoneInfo, day: date) -> list[datetime]:
    """The moment at which the clock is set on this day or the one before, if it is."""
    low, high = (int(_instant(zone, day + timedelta(days=each), time()).timestamp()) for each in (-1, 1))

    def offset(second: int) -> timedelta | None:
        return datetime.fromtimestamp(second, zone).utcoffset()

    before, after = offset(low), offset(high)
    if before == after:
        return []
    while high - low > 1:  # before it the offset is `before`, from it on `after`
        middle = (low + high) // 2
        low, high = (middle, high) if offset(middle) == before else (low, middle)
    return [datetime.fromtimestamp(high, UTC)]


@cache
def parse(text: str) -> OpeningHours:
    """Read ``mon-fri 09:00-18:00, sat 10:00-14:00``; a day may be named several times, and a span end at 24:00.

    Raises:
        ValueError: it cannot be read, or two spans overlap.
    """
    spans: list[tuple[int, int, int]] = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        days = [DAYS.index(day) if day in DAYS else -1 for day in match.group(1, 2) if day] if match else [-1]
        hours = [int(each) for each in match.groups()[2:]] if match else []
        if min(days) < 0 or days[0] > days[-1] or not _are_times(hours):
            raise ValueError(f"{part.strip()!r} are no hours: write them as in {EXAMPLE!r}")
        start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        spans += [(day, start, end) for day in range(days[0], days[-1] + 1)]
    spans.sort()
    for (day, _, end), (other, start, _) in pairwise(spans):
        if day == other and start < end:
            raise ValueError(f"two spans of {DAYS[day]} overlap: write each hour once, as in {EXAMPLE!r}")
    return OpeningHours(tuple(spans))


def _are_times(hours: list[int]) -> bool:
    first, second, third, fourth = hours
    return first < 24 and second < 60 and fourth < 60 and (first, second) < (third, fourth) <= (24, 0)


def zone_of(name: str) -> ZoneInfo:
    """The time zone of this IANA name.

    Raises:
        UnknownZone: there is none.
    """
    if name not in _zones():
        raise UnknownZone(f"time_zone={name!r}: no such time zone; use a name such as 'Europe/Berlin'")
    return ZoneInfo(name)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
