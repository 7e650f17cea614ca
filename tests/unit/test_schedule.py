"""When cron= and every= are due."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

import workrow
from workrow.schedule import Cron, Every

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_cron_is_due_at_the_very_second() -> None:
    cron = Cron("0 12 * * *")
    assert cron.latest(NOON) == NOON
    assert cron.latest(NOON + timedelta(microseconds=1)) == NOON
    assert cron.latest(NOON - timedelta(microseconds=1)) == NOON - timedelta(days=1)
    assert cron.following(NOON) == NOON + timedelta(days=1)
    assert cron.following(NOON - timedelta(microseconds=1)) == NOON


def test_cron_is_read_in_its_zone() -> None:
    berlin = Cron("0 9 * * mon", "Europe/Berlin")
    assert berlin.following(datetime(2026, 7, 1, tzinfo=UTC)) == datetime(2026, 7, 6, 7, tzinfo=UTC)
    assert berlin.following(datetime(2026, 12, 1, tzinfo=UTC)) == datetime(2026, 12, 7, 8, tzinfo=UTC)


@pytest.mark.parametrize("year", [2026, 2027])
def test_a_daily_cron_fires_once_a_day_across_both_daylight_saving_changes(year: int) -> None:
    # 02:30 does not exist on one day of the year in Berlin, and exists twice on another
    cron = Cron("30 2 * * *", "Europe/Berlin")
    now, days = datetime(year, 1, 1, tzinfo=UTC), []
    while now.year == year:
        due = cron.following(now)
        assert due is not None
        assert cron.latest(due) == due
        days.append(due)
        now = due
    gaps = {later - earlier for earlier, later in itertools.pairwise(days)}
    assert len(days) in (365, 366)
    assert all(timedelta(hours=22) < gap < timedelta(hours=26) for gap in gaps)


def test_six_fields_begin_with_seconds() -> None:
    assert Cron("*/15 * * * * *").following(NOON) == NOON + timedelta(seconds=15)


def test_every_is_the_same_moment_for_every_worker() -> None:
    every = Every(timedelta(minutes=7))
    latest = every.latest(NOON)
    assert latest <= NOON < every.following(NOON) == latest + timedelta(minutes=7)
    assert every.latest(every.following(NOON)) == every.following(NOON)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cron": "* * *"}, r"cron='\* \* \*': Wrong number of fields"),
        ({"cron": "61 * * * *"}, "Bad minute"),
        ({"cron": "0 9 * * *", "timezone": "Europe/Berln"}, "timezone='Europe/Berln': no such time zone"),
        ({"cron": 5}, "cron=5"),
        ({"every": timedelta(0)}, "at least one second"),
        ({"every": 60}, "every=60"),
        ({"every": timedelta(hours=1), "cron": "* * * * *"}, "give one of the two"),
        ({"timezone": "UTC"}, "says nothing without cron"),
    ],
)
def test_what_cannot_work_is_refused_at_declaration(options: dict[str, object], message: str) -> None:
    blueprint = workrow.Blueprint("b")
    with pytest.raises(workrow.OptionError, match=f"task b.tick: .*{message}"):

        @blueprint.task(**options)  # type: ignore[arg-type]
        def tick() -> None: ...
