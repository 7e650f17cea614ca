"""Crontab lines: two libraries read them, and not all alike.

``cron=`` is cronsim's, ``@app.periodic`` is croniter's, as in procrastinate. What one cannot read is the other's
alone; what both read, and as different times, is refused: whoever wrote it may have meant either. Where they part:

- six fields: cronsim takes the seconds first, croniter last;
- a day of month or of week that begins with ``*`` beside another one: both must match, or one of them; the same of
  ``mon#2`` beside a day of month;
- ``5-5``: once, or the whole range; ``5/2`` as day of week: with Sunday as 7, or without.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, islice
from typing import Any, Literal

from croniter import CroniterBadDateError, croniter
from cronsim import CronSim, CronSimError

from workrow.errors import OptionError, brief

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
"""Of second, minute, hour, day of month, month, day of week."""
DAY, MONTH, WEEKDAY = 3, 4, 5
SUNDAY = 7
"""As some write it, and others 0."""
RANGE = re.compile(r"(\w+)-(\w+)(?:/(\d{1,4}))?", re.ASCII)
LOOK_AHEAD = 1000
"""So many due times are compared to show where two readings part."""
YEARS = 50
"""croniter looks no further, and so does the worker."""

Reader = Literal["cron=", "@app.periodic"]
Days = tuple[str, frozenset[Any], frozenset[Any]]


class Taken(str):
    """A line of a row: it was taken when it was written, and stays what cronsim reads, whatever else it may mean."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a line means: the values that each field allows."""

    second: frozenset[int]
    minute: frozenset[int]
    hour: frozenset[int]
    month: frozenset[int]
    day: Days


@lru_cache(maxsize=4096)
def plain(line: str) -> str:
    """The line as cronsim reads it: without ``@daily``, and without ranges over the end such as ``mon-sun``."""
    given = ALIASES.get(line.strip().lower(), line).split()
    first = WEEKDAY + 1 - len(given)
    if first not in (0, 1):
        return line
    found = [
        ",".join(_unwrapped(term, position) for term in field.split(",")) for position, field in enumerate(given, first)
    ]
    return " ".join(found) if found != line.split() else str(line)


def _unwrapped(term: str, position: int) -> str:
    if position == WEEKDAY and term[:-1].lower() in DAYS and term[-1:] in "lL":
        return f"{DAYS.index(term[:-1].lower())}L"
    match = RANGE.fullmatch(term)
    low, high = (_number(match[1], position), _number(match[2], position)) if match else (None, None)
    step = int(match[3] or 1) if match else 0
    if low is None or high is None or low <= high or not step:
        return term
    least, most = RANGES[position]
    if position == WEEKDAY and low == SUNDAY:
        low = 0
    if low == high or not (least <= low <= most and least <= high):
        return term
    values = [*range(low, high + 1)] if low < high else [*range(low, most + 1), *range(least, high + 1)]
    return ",".join(map(str, values[::step]))


def _number(value: str, position: int) -> int | None:
    if value.isdecimal():
        return int(value)
    names = DAYS if position == WEEKDAY else MONTHS if position == MONTH else ()
    return names.index(value.lower()) + RANGES[position][0] if value.lower() in names else None


def check(line: str, reader: Reader) -> None:
    """Raise OptionError unless this reader can use the line, and the other one reads it alike or not at all."""
    if isinstance(line, Taken):
        try:
            _by_cronsim(line)
        except Unreadable as error:
            raise OptionError(f"cron={brief(line)}: {error}") from None
        return
    if not isinstance(line, str):
        raise OptionError(f"cron={brief(line)}: must be a string such as '0 9 * * mon'")
    problem = _problem(line, reader)
    if problem:
        raise OptionError(f"cron={brief(line)}: {problem}")


@lru_cache(maxsize=4096)
def _problem(line: str, reader: Reader) -> str:
    other: Reader = "@app.periodic" if reader == "cron=" else "cron="
    try:
        mine = READERS[reader](line)
    except Unreadable as error:
        seconds = "before" if reader == "cron=" else "after"
        example = f"such as '0 9 * * mon', and seconds, if any, {seconds} them"
        return f"{error}{_told(line, other)}; write minute hour day-of-month month day-of-week, {example}"
    try:
        theirs = READERS[other](line)
    except Unreadable:
        return ""
    if mine == theirs:
        return ""
    return f"two readings: {_difference(line, reader, other)}; {_way_out(line, mine, theirs)}"


class Unreadable(Exception):
    """A reader cannot use a line; the message says why."""


def _by_cronsim(line: str) -> Reading:
    try:
        found = CronSim(plain(line), datetime(2024, 1, 1))
    except (CronSimError, AttributeError) as error:
        raise Unreadable(str(error)) from None
    if next(found, None) is None:
        raise Unreadable("is never due; no year has such a day")
    days = found.days & {*range(1, 32), CronSim.LAST, CronSim.LAST_WEEKDAY}
    weekdays = {_sunday(each) for each in found.weekdays}
    return Reading(
        frozenset(found.seconds),
        frozenset(found.minutes),
        frozenset(found.hours),
        frozenset(found.months),
        _days("and" if found.day_and else "or", days, weekdays),
    )


def _sunday(day: int | tuple[int, int]) -> Any:
    return day % 7 if isinstance(day, int) else (day[0] % 7, day[1])


def _by_croniter(line: str) -> Reading:
    try:
        found = croniter(line, time.time())
    except Exception as error:  # a ValueError for most, a KeyError or AttributeError for some
        raise Unreadable(f"{error}".replace("\n", " ")) from None
    if any(field.startswith("r") for field in line.lower().split()):
        raise Unreadable("R is another number in each worker, and so would be the due times")
    if not _is_ever_due(found):
        years = len(found.expanded) > WEEKDAY + 1
        why = (
            f"its years are past, or begin in more than {YEARS}, or have no such day"
            if years
            else "no year has such a day"
        )
        raise Unreadable(f"is never due; {why}")
    minute, hour, day, month, weekday, *second = found.expanded  # and the year, which cronsim does not know
    nth = {
        (weekday, CronSim.LAST if each == "l" else each)
        for weekday, each_nth in found.nth_weekday_of_month.items()
        for each in each_nth
    }
    both = day[0] == "*" or weekday[0] == "*"
    return Reading(
        _values(second[0], 0) if second else frozenset({0}),
        _values(minute, 1),
        _values(hour, 2),
        _values(month, MONTH),
        # it looks for mon#2 whatever the day of month says
        _days("and" if both else "nth" if nth else "or", _values(day, DAY), nth or _values(weekday, WEEKDAY)),
    )


def _values(found: list[Any], position: int) -> frozenset[Any]:
    least, most = RANGES[position]
    if "*" in found:
        return frozenset(range(least, most + 1))
    return frozenset(CronSim.LAST if each == "l" else each for each in found)


def _days(rule: str, days: Any, weekdays: Any) -> Days:
    """Days of month and days of week, so that what means the same is equal."""
    every_day, every_weekday = {*range(1, 32)} <= days, {*range(7)} <= weekdays
    if (every_day and every_weekday) or (rule == "or" and (every_day or every_weekday)):
        return "every day", frozenset(), frozenset()
    if rule == "and" and every_weekday:
        return "days", frozenset(days), frozenset()
    if rule == "and" and every_day:
        return "weekdays", frozenset(), frozenset(weekdays)
    return rule, frozenset(days), frozenset(weekdays)


def _is_ever_due(line: croniter) -> bool:
    with suppress(CroniterBadDateError):
        line.get_next(float, start_time=line.cur)
        return True
    return False


def _told(line: str, reader: Reader) -> str:
    """What another reader makes of a line that cannot be used here."""
    with suppress(Unreadable):
        READERS[reader](line)
        return f"; {reader} would be due {_shown(_times(line, reader))}"
    return ""


def _difference(line: str, *readers: Reader) -> str:
    times = [_times(line, reader) for reader in readers]
    pairs = islice(zip(*times, strict=False), LOOK_AHEAD)
    first = next((pair for pair in pairs if pair[0] != pair[1]), None) or [next(each) for each in times]
    each = zip(readers, first, times, strict=True)
    return ", ".join(f"{reader} is due {_shown(chain([due], later))}" for reader, due, later in each)


def _shown(times: Iterator[datetime]) -> str:
    return "at " + " and ".join(f"{each:%Y-%m-%d %H:%M:%S}" for each in islice(times, 2)) + " …"


def _times(line: str, reader: Reader) -> Iterator[datetime]:
    now = datetime.now(UTC).replace(tzinfo=None)
    if reader == "cron=":
        return CronSim(plain(line), now)
    # whose times end without an error only where the years are named
    times: Iterator[datetime] = croniter(line, now, max_years_between_matches=YEARS).all_next(datetime)
    return times


def _way_out(line: str, mine: Reading, theirs: Reading) -> str:
    if len(line.split()) > WEEKDAY:
        return (
            "name the months, so that it is clear whether the seconds come first or last: '0 30 9 * jan-dec *' or "
            "'30 9 * jan-dec * 0'"
        )
    if any(getattr(mine, field.name) != getattr(theirs, field.name) for field in fields(Reading)[:-1]):
        return "write the numbers out, such as 5 for 5-5"
    if "*" in line.split()[2::2]:
        return "write the days out, such as 5,7 for 5/2"
    return "write a range for the * (1-31/2) if one of the two days is to match; if both are, check one in the task"


READERS: dict[Reader, Callable[[str], Reading]] = {"cron=": _by_cronsim, "@app.periodic": _by_croniter}
