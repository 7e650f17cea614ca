"""Which due times have jobs: those late by less than half a minute, and of missed ones as many as were asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import workrow
from workrow.maintenance.due import GRACE, STEPS, due, start_of

NOW = datetime(2027, 5, 1, 12, 0, 40, tzinfo=UTC)
TEN_MINUTES = timedelta(minutes=10)
MINUTE, HOUR, SECOND = timedelta(minutes=1), timedelta(hours=1), timedelta(seconds=1)


def found(every: timedelta, since: timedelta, now: datetime = NOW, **options: Any) -> Any:
    return due(workrow.Schedule(every=every, **options), now - since, now, TEN_MINUTES)


@pytest.mark.parametrize(
    ("every", "since", "options", "made_up", "missed"),
    [
        (MINUTE, MINUTE, {}, 1, 0),
        (MINUTE, MINUTE, {"missed": "skip"}, 0, 1),  # 40 s late
        (MINUTE, 5 * MINUTE, {}, 1, 4),
        (MINUTE, 5 * MINUTE, {"missed": "once"}, 1, 4),
        (MINUTE, 5 * MINUTE, {"missed": "skip"}, 0, 5),
        (MINUTE, 5 * MINUTE, {"missed": "all"}, 5, 0),
        (MINUTE, 5 * MINUTE, {"missed": "all", "catch_up": 3}, 3, 2),
        (MINUTE, 500 * MINUTE, {"missed": "all"}, 100, 400),
        (MINUTE, 50 * MINUTE, {"missed": "all", "max_late": TEN_MINUTES}, 10, 40),
        (7 * HOUR, 24 * HOUR, {}, 0, 3),  # the latest was more than ten minutes ago
        (7 * HOUR, 24 * HOUR, {"max_late": 7 * HOUR}, 1, 2),
        (SECOND, 5 * SECOND, {}, 5, 0),  # late, and not missed
        (SECOND, 5 * SECOND, {"missed": "skip"}, 5, 0),
        (SECOND, 5 * SECOND, {"missed": "all", "catch_up": 2}, 5, 0),
        (SECOND, 100 * SECOND, {}, 31, 69),
        (SECOND, 100 * SECOND, {"missed": "all"}, 100, 0),
        (SECOND, 100 * SECOND, {"missed": "all", "catch_up": 50}, 50, 50),
        (SECOND, 100 * SECOND, {"max_late": 3 * SECOND}, 4, 96),
    ],
)
def test_what_is_made_up_for(
    every: timedelta, since: timedelta, options: dict[str, Any], made_up: int, missed: int
) -> None:
    what = found(every, since, **options)
    assert (len(what.times), what.missed) == (made_up, missed)
    assert what.times == sorted(set(what.times))
    assert all(NOW - since < each <= NOW for each in what.times)
    assert what.following is not None
    assert NOW < what.following <= NOW + every
    if what.times:
        assert what.following == what.times[-1] + every
    if missed:
        assert what.last_missed == (what.times[0] if what.times else what.following) - every


def test_a_minute_that_has_just_begun_is_on_time_whatever_is_said() -> None:
    for missed in ("skip", "once", "all"):
        assert len(found(MINUTE, MINUTE, NOW - timedelta(seconds=20), missed=missed).times) == 1


def test_an_outage_of_years_costs_no_more_than_one_of_hours() -> None:
    what = found(SECOND, timedelta(days=3650), missed="all", catch_up=3, max_late=timedelta(days=1))
    assert (len(what.times), what.missed, what.following) == (31, STEPS - 31, NOW.replace(microsecond=0) + SECOND)
    line = workrow.Schedule(cron="* * * * * *", timezone="Europe/Berlin", missed="all", catch_up=7)
    what = due(line, NOW - timedelta(days=3650), NOW, TEN_MINUTES)
    assert what.times[-1] == NOW
    assert len(what.times) == int(GRACE.total_seconds()) + 1


def test_nothing_is_due_twice_when_the_clock_goes_back() -> None:
    what = found(MINUTE, -HOUR)
    assert (what.times, what.missed) == ([], 0)
    assert what.following == NOW.replace(second=0) + HOUR + MINUTE


def test_jitter_is_a_property_of_the_due_time() -> None:
    starts = [start_of("s", NOW + n * HOUR, MINUTE) - (NOW + n * HOUR) for n in range(200)]
    assert starts == [start_of("s", NOW + n * HOUR, MINUTE) - (NOW + n * HOUR) for n in range(200)]
    assert all(timedelta(0) <= each < MINUTE for each in starts)
    assert min(starts) < timedelta(seconds=5)
    assert max(starts) > timedelta(seconds=55)
    assert start_of("t", NOW, MINUTE) != start_of("s", NOW, MINUTE)
