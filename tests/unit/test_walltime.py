"""Due times in the nights in which a zone's clock changes: Berlin and New York by an hour, Lord Howe by half of it."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from workrow.declare.schedule import Cron, Every

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
CHANGES = [
    (BERLIN, "2027-03-28"),
    (BERLIN, "2027-10-31"),
    (NEW_YORK, "2027-03-14"),
    (NEW_YORK, "2027-11-07"),
    (LORD_HOWE, "2027-04-04"),
    (LORD_HOWE, "2027-10-03"),
]
LINES = [
    "30 2 * * *",
    "45 1 * * *",
    "15,45 1-3 * * *",
    "0 * * * *",
    "*/20 * * * *",
    "0 */2 * * *",
    "0 */3 * * *",
    "30 30 2 * * *",
    "*/30 0 2 * jan-dec *",
    "0 9 * * mon",
]


def night(zone: str, day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def dues(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    found: list[datetime] = []
    due = cron.following(start)
    while due is not None and due < end:
        found.append(due)
        due = cron.following(due)
    return found


@pytest.mark.parametrize(
    ("zone", "day", "line", "expected"),
    [
        # a time of day that the clock skips: at the end of the gap, once
        (BERLIN, "2027-03-28", "30 2 * * *", "03:00+0200"),
        (BERLIN, "2027-03-28", "15,45 2 * * *", "03:00+0200"),
        (BERLIN, "2027-03-28", "30 30 2 * * *", "03:00+0200"),
        (NEW_YORK, "2027-03-14", "30 2 * * *", "03:00-0400"),
        (LORD_HOWE, "2027-10-03", "15 2 * * *", "02:30+1100"),
        (LORD_HOWE, "2027-10-03", "45 2 * * *", "02:45+1100"),
        # one that comes twice: the first time
        (BERLIN, "2027-10-31", "30 2 * * *", "02:30+0200"),
        (BERLIN, "2027-10-31", "30 30 2 * * *", "02:30+0200"),
        (NEW_YORK, "2027-11-07", "30 1 * * *", "01:30-0400"),
        (LORD_HOWE, "2027-04-04", "45 1 * * *", "01:45+1100"),
        # intervals: what the clock shows
        (BERLIN, "2027-03-28", "0 * * * *", "01:00+0100 03:00+0200 04:00+0200"),
        (BERLIN, "2027-10-31", "0 * * * *", "01:00+0200 02:00+0200 02:00+0100 03:00+0100"),
        (NEW_YORK, "2027-11-07", "*/30 1 * * *", "01:00-0400 01:30-0400 01:00-0500 01:30-0500"),
        (LORD_HOWE, "2027-10-03", "*/30 * * * *", "00:30+1030 01:00+1030 01:30+1030 02:30+1100 03:00+1100 03:30+1100"),
        (LORD_HOWE, "2027-04-04", "30 * * * *", "00:30+1100 01:30+1100 01:30+1030 02:30+1030 03:30+1030"),
        (LORD_HOWE, "2027-10-03", "0 */3 * * *", "03:00+1100"),
    ],
)
def test_the_night_of_a_change(zone: str, day: str, line: str, expected: str) -> None:
    start = night(zone, day)
    end = start.astimezone(ZoneInfo(zone)).replace(hour=4, minute=1).astimezone(UTC)
    found = [due.astimezone(ZoneInfo(zone)) for due in dues(Cron(line, zone), start, end)]
    shown = [f"{due:%H:%M%z}" for due in found if due.hour < 4 or "04" in expected]
    assert " ".join(shown) == expected


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_whoever_looks_whenever_sees_the_same_due_times(zone: str, day: str, line: str) -> None:
    cron, change = Cron(line, zone), night(zone, day)
    known = dues(cron, change - timedelta(days=8), change + timedelta(days=9))
    assert all(earlier < later for earlier, later in itertools.pairwise(known))
    moment = change - timedelta(hours=2)
    while moment < change + timedelta(hours=7):
        assert cron.following(moment) == min(due for due in known if due > moment), moment
        assert cron.latest(moment) == max(due for due in known if due <= moment), moment
        moment += timedelta(minutes=11, seconds=29, microseconds=1)


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kolkata", "Africa/Casablanca"])
@pytest.mark.parametrize("hour", [0, 1, 2, 3])
def test_a_daily_line_is_due_once_on_each_day_of_the_year(zone: str, hour: int) -> None:
    start = datetime(2027, 1, 1, tzinfo=ZoneInfo(zone)) - timedelta(seconds=1)
    found = dues(Cron(f"17 {hour} * * *", zone), start, datetime(2028, 1, 1, tzinfo=ZoneInfo(zone)))
    assert len({due.astimezone(ZoneInfo(zone)).date() for due in found}) == len(found) == 365


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_an_interval_is_elapsed_time(zone: str, day: str) -> None:
    every, moment = Every(timedelta(minutes=30)), night(zone, day)
    found = [moment]
    for _ in range(20):
        found.append(every.following(found[-1]))
    assert {later - earlier for earlier, later in itertools.pairwise(found[1:])} == {timedelta(minutes=30)}
