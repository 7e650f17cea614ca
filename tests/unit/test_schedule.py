"""When cron= and every= are due."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import workrow
from workrow.declare.schedule import Cron, Every

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
    assert Cron("*/15 * * * jan-dec *").following(NOON) == NOON + timedelta(seconds=15)


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


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs cron='…' or every=timedelta"),
        ({"cron": "* * * * *", "every": HOUR}, "give one of the two"),
        ({"every": HOUR, "timezone": "Europe/Berlin"}, "says nothing without cron"),
        ({"cron": "0 0 30 2 *"}, "Bad day-of-month"),
        ({"cron": "* * * * *", "timezone": None}, "timezone=None: no such time zone"),
        ({"every": HOUR, "missed": "never"}, "missed='never': must be one of 'skip', 'once', 'all'"),
        ({"every": HOUR, "overlap": "replace"}, "overlap='replace': must be one of 'allow', 'skip', 'queue'"),
        ({"every": HOUR, "catch_up": 3}, "catch_up=3 says nothing with missed='once'"),
        ({"every": HOUR, "missed": "all", "catch_up": 0}, "catch_up=0: must be a whole number from 1 to 1000"),
        ({"every": HOUR, "missed": "all", "catch_up": True}, "catch_up=True"),
        ({"every": HOUR, "missed": "skip", "max_late": HOUR}, "max_late=.* and missed='skip' contradict each other"),
        ({"every": HOUR, "max_late": 60}, "max_late=60: must be a timedelta above zero"),
        ({"every": HOUR, "missed": "all", "overlap": "skip"}, "missed='all' and overlap='skip' contradict each other"),
        ({"every": HOUR, "jitter": 30}, "jitter=30: must be a timedelta"),
        ({"every": HOUR, "jitter": 2 * HOUR}, "jitter=.* is above every="),
        ({"every": HOUR, "jitter": timedelta(0)}, "above zero"),
        ({"every": HOUR, "args": [1]}, r"args=\[1\]: must be a mapping"),
        ({"every": HOUR, "name": ""}, "name='': must be a non-empty string"),
    ],
)
def test_a_schedule_that_contradicts_itself_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(workrow.OptionError, match=message):
        workrow.Schedule(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"schedule": workrow.Schedule(every=HOUR), "cron": "* * * * *"},
            "schedule=… and cron=… contradict each other",
        ),
        ({"schedule": "* * * * *"}, "must be a workrow.Schedule, or a list of them"),
        ({"schedule": [workrow.Schedule(every=HOUR)] * 2}, "two schedules are named 'b.tick'"),
        ({"schedule": workrow.Schedule(every=HOUR, args={"m": 1})}, "unexpected keyword argument 'm'"),
        ({"schedule": workrow.Schedule(every=HOUR, args={"n": object()})}, "args=.*n=<object"),
        ({"schedule": workrow.Schedule(every=HOUR, queue="")}, "queue='': must be a non-empty string"),
        ({"schedule": workrow.Schedule(every=HOUR, priority=2**40)}, "priority=1099511627776"),
        ({"schedule": workrow.Schedule(every=HOUR, overlap="queue"), "lock": "l"}, "task's lock='l' contradict"),
        ({"schedul": workrow.Schedule(every=HOUR)}, "did you mean 'schedule'"),
    ],
)
def test_a_schedule_that_does_not_go_with_its_task_is_refused(options: dict[str, Any], message: str) -> None:
    blueprint = workrow.Blueprint("b")
    with pytest.raises(workrow.OptionError, match=f"task b.tick: .*{message}|{message}"):

        @blueprint.task(**options)
        def tick(n: int = 0) -> None: ...


def test_schedules_have_their_tasks_names() -> None:
    app = workrow.App("postgresql://nowhere")

    @app.task(name="report", schedule=[workrow.Schedule(every=HOUR, name="a"), workrow.Schedule(cron="0 0 * * *")])
    def report(due_at: datetime) -> None: ...

    assert list(report.schedules) == ["report:a", "report"]
    assert report.schedule is report.schedules["report:a"]
    assert set(report.due_arguments(NOON, {})) == {"due_at"}
