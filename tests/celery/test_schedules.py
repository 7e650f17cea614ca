"""Schedules: each answer as Celery 5.7 was seen to give it. ``data/schedules.json`` holds, in this order of values:

* ``accepted``: arguments of ``crontab``; the sets of the fields given and the repr, or an error and its text;
* ``parsed``: arguments of ``crontab_parser``, a text; the numbers, or the error and its text;
* ``beat``: zone, fields, start (wall clock), hours; the times at which a beat that asks ``is_due`` ran;
* ``asked``: zone, ``beat_cron_starting_deadline``, fields of a crontab or ``[run_every, relative]``, now, the last run,
  whether that is in the zone; the answer of ``is_due``.
"""

import copy
import json
import pickle
import sys
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from workrow.celery import schedules
from workrow.celery.exceptions import ImproperlyConfigured
from workrow.celery.schedules import BaseSchedule, crontab, crontab_parser, maybe_schedule, schedstate, schedule, solar

SEEN = json.loads((Path(__file__).parent / "data" / "schedules.json").read_text())
NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)


class Zone:
    """An app as far as schedules go."""

    def __init__(self, name: str = "UTC", deadline: float | None = None, enable_utc: bool = True) -> None:
        self.timezone: tzinfo = ZoneInfo(name)
        self.conf = SimpleNamespace(beat_cron_starting_deadline=deadline, enable_utc=enable_utc)

    def now(self) -> datetime:
        return NOON.astimezone(self.timezone)


def error_of(made: Any) -> list[str]:
    with pytest.raises(Exception) as raised:
        made()
    return [type(raised.value).__name__, str(raised.value)]


@pytest.mark.parametrize(("arguments", "sets", "shown"), SEEN["accepted"])
def test_a_crontab_takes_and_refuses_what_celery_does(arguments: str, sets: Any, shown: str) -> None:
    fields = eval(arguments)
    if isinstance(sets, str):
        assert error_of(lambda: crontab(**fields)) == [sets, shown]
    else:
        made = crontab(**fields)
        assert {name: sorted(getattr(made, name)) for name in fields} == sets
        assert repr(made) == str(made) == shown


@pytest.mark.parametrize(("size", "text", "seen"), [(row[0], row[1], row[2:]) for row in SEEN["parsed"]])
def test_a_field_is_read_as_celery_reads_it(size: list[int], text: str, seen: list[Any]) -> None:
    parser = crontab_parser(*size)
    if isinstance(seen[0], str):
        assert error_of(lambda: parser.parse(text)) == seen
    else:
        assert sorted(parser.parse(text)) == seen[0]


@pytest.mark.parametrize(("zone", "fields", "start", "hours", "seen"), SEEN["beat"])
def test_a_beat_runs_when_celerys_does_over_a_change_of_the_clocks(
    zone: str, fields: dict[str, Any], start: str, hours: int, seen: list[str]
) -> None:
    now = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = now + timedelta(hours=hours)
    asked = crontab(**fields, app=Zone(zone), nowfun=lambda: now.astimezone(ZoneInfo(zone)))
    last, runs = asked.now(), []
    while now < end:
        due, wait = asked.is_due(last)
        if due:
            last = asked.now()
            runs.append(last.isoformat())
        now += timedelta(seconds=min(max(wait, 0.001), 300))
    assert runs == seen


@pytest.mark.parametrize(("zone", "deadline", "what", "now", "last", "in_zone", "seen"), SEEN["asked"])
def test_a_schedule_is_due_when_celery_has_it_due(
    zone: str, deadline: float | None, what: Any, now: str, last: str, in_zone: bool, seen: list[Any]
) -> None:
    moment = datetime.fromisoformat(last)
    if in_zone:
        moment = moment.astimezone(ZoneInfo(zone))
    options: dict[str, Any] = {"app": Zone(zone, deadline), "nowfun": lambda: datetime.fromisoformat(now)}
    asked = crontab(**what, **options) if isinstance(what, dict) else schedule(*what, **options)
    assert list(asked.is_due(moment)) == seen
    assert (asked.remaining_estimate(moment) <= timedelta(0)) >= seen[0]


@pytest.mark.parametrize(
    ("deadline", "hour", "minute", "seen"),
    [
        (None, 15, 0, (True, 75600.0)),
        (3600, 15, 0, (False, 75600.0)),
        (3600, 12, 30, (True, 84600.0)),
        (1800, 12, 30, (True, 84600.0)),
        (1799, 12, 30, (False, 84600.0)),
    ],
)
def test_missed_runs_are_made_up_for_by_one_within_the_deadline(
    deadline: float | None, hour: int, minute: int, seen: tuple[bool, float]
) -> None:
    now = datetime(2026, 6, 10, hour, minute, tzinfo=UTC)
    noon = crontab(minute=0, hour=12, app=Zone(deadline=deadline), nowfun=lambda: now)
    assert noon.is_due(datetime(2026, 6, 7, 12, tzinfo=UTC)) == seen
    assert noon.is_due(now) == (False, seen[1])


@pytest.mark.parametrize(
    ("ago", "seen"), [(0, (False, 30.0)), (10, (False, 20.0)), (30, (True, 30)), (100, (True, 30))]
)
def test_an_interval_is_due_when_it_has_passed(ago: int, seen: tuple[bool, float]) -> None:
    assert schedule(30, app=Zone()).is_due(NOON - timedelta(seconds=ago)) == seen


def test_a_relative_interval_falls_on_the_full_unit() -> None:
    for minute, hour, seen in ((59, 12, (False, 60.0)), (0, 13, (True, 3600.0))):
        now = datetime(2026, 6, 10, hour, minute, tzinfo=UTC)
        hourly = schedule(timedelta(hours=1), relative=True, app=Zone(), nowfun=lambda now=now: now)
        assert hourly.is_due(datetime(2026, 6, 10, 12, 10, tzinfo=UTC)) == seen
    assert schedule(0, app=Zone()).is_due(NOON) == (True, 0.0)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "now"),
        (-90, "now"),
        (0.2, "now"),
        (0.9956, "1.00 second"),
        (30, "30.00 seconds"),
        (77.698, "1.30 minutes"),
        (3600, "1.00 hour"),
        (3601, "1.00 hours"),
        (86400, "1.00 day"),
        (1e6, "11.57 days"),
    ],
)
def test_an_interval_says_itself_in_the_largest_unit(seconds: float, shown: str) -> None:
    assert repr(schedule(seconds)) == f"<freq: {shown}>"
    assert schedule(seconds).seconds == max(seconds, 0)


def test_what_remains_is_added_to_the_wall_clock_of_the_last_run() -> None:
    asked = crontab(minute=30, hour=14, day_of_week="mon,wed", app=Zone("Europe/Berlin"))
    last, delta, now = asked.remaining_delta(datetime(2026, 6, 12, 9))
    assert (last + delta).isoformat() == "2026-06-15T14:30:00+02:00"
    assert now.isoformat() == "2026-06-10T14:00:00+02:00"
    assert asked.remaining_delta(NOON, ffwd=dict)[1] == {
        "year": 2026, "month": 6, "day": 10, "hour": 14, "minute": 30, "second": 0, "microsecond": 0
    }  # fmt: skip
    assert asked.remaining_delta(NOON, tz="Asia/Tokyo")[0].isoformat() == "2026-06-10T21:00:00+09:00"


def test_the_29th_of_february_on_a_monday_is_found_over_2100_and_what_never_comes_is_told() -> None:
    leap = crontab(0, 0, "mon", 29, "feb", app=Zone())
    after = datetime(2072, 12, 31, tzinfo=UTC)
    assert (NOON + leap.remaining_estimate(after)).date().isoformat() == "2112-02-29"
    with pytest.raises(RuntimeError, match="unable to rollover"):
        crontab(day_of_week=[], app=Zone()).is_due(NOON)
    with pytest.raises(RuntimeError, match="unable to rollover"):
        crontab(0, 0, app=Zone()).is_due(datetime(9999, 12, 31, tzinfo=UTC))


def test_five_fields_of_a_text() -> None:
    assert crontab.from_string("1 2 3 4 5") == crontab(minute=1, hour=2, day_of_month=3, month_of_year=4, day_of_week=5)
    with pytest.raises(ValueError, match="unpack"):
        crontab.from_string("1 2 3 4")


def test_equal_by_what_is_due_and_not_hashable() -> None:
    assert crontab(minute="0") == crontab(minute=0, app=Zone())
    assert crontab(minute=0) != crontab(minute=1)
    assert crontab() != schedule(60)
    assert schedule(3) == schedule(3, relative=True) == timedelta(seconds=3) != 3
    assert BaseSchedule() == BaseSchedule() != BaseSchedule(nowfun=NOON.now)
    for made in (crontab(), schedule(3)):
        with pytest.raises(TypeError, match="unhashable"):
            hash(made)


def test_kept_and_read_again() -> None:
    kept = crontab([1, 2], hour="*/3", nowfun=datetime.now)
    assert kept.__reduce__() == (crontab, ([1, 2], "*/3", "*", "*", "*"), {"nowfun": datetime.now})
    once = pickle.loads(pickle.dumps(kept))
    for read in (once, pickle.loads(pickle.dumps(once)), copy.deepcopy(kept)):
        assert (read, read.nowfun, repr(read)) == (kept, datetime.now, repr(kept))
    assert schedule(3, relative=True, app=Zone()).__reduce__() == (schedule, (timedelta(seconds=3), True, None))
    assert repr(schedstate(True, 3)) == "schedstate(is_due=True, next=3)"


def test_a_number_becomes_a_schedule_and_a_schedule_gets_the_app() -> None:
    app = Zone()
    for given in (3, 3.0, timedelta(seconds=3)):
        made = maybe_schedule(given, relative=True, app=app)
        assert (made, made.relative, made.app) == (schedule(3), True, app)
    assert maybe_schedule(every := crontab(), app=app) is every
    assert every.app is app
    assert maybe_schedule(None) is None


def test_times_without_a_zone_are_utc_and_without_an_app_everything_is() -> None:
    berlin = BaseSchedule(app=Zone("Europe/Berlin"))
    noon = datetime(2026, 7, 1, 12)
    assert berlin.maybe_make_aware(noon).isoformat() == "2026-07-01T14:00:00+02:00"
    assert berlin.maybe_make_aware(noon, naive_as_utc=False).isoformat() == "2026-07-01T12:00:00+02:00"
    skipped = datetime(2026, 3, 29, 2, 30)
    assert berlin.maybe_make_aware(skipped, naive_as_utc=False).isoformat() == "2026-03-29T03:30:00+02:00"
    assert berlin.maybe_make_aware(NOON) is NOON
    assert berlin.to_local(noon) is noon
    assert BaseSchedule(app=Zone(enable_utc=False)).to_local(noon).timestamp() == noon.timestamp()
    assert (berlin.tz, berlin.utc_enabled) == (ZoneInfo("Europe/Berlin"), True)
    for method in (berlin.is_due, berlin.remaining_estimate):
        with pytest.raises(NotImplementedError):
            method(noon)
    alone = crontab(minute=0, hour=0)
    assert alone.is_due(datetime.now(UTC) - timedelta(days=2)).is_due


class Sky:
    """As much of the package ephem as `solar` asks for; the sun is up without end for two midnights."""

    class CircumpolarError(ValueError): ...

    Sun = str

    class Observer:
        def __init__(self) -> None:
            self.asked: list[Any] = []

        def next_setting(self, sun: Any, start: datetime, use_center: bool) -> Any:
            self.asked.append((start, use_center))
            if len(self.asked) < 3:
                raise Sky.CircumpolarError
            return SimpleNamespace(datetime=lambda: start + timedelta(hours=1))

        def next_antitransit(self, sun: Any, start: datetime) -> datetime:
            return start + timedelta(days=1)


def test_an_event_of_the_sun_is_looked_for_over_days_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ephem", Sky)
    made = solar("dusk_civil", 69.6, -18.9, app=Zone())
    assert repr(made) == "<solar: dusk_civil at latitude 69.6, longitude: -18.9>"
    assert {**vars(made.cal), "asked": 0} == {
        "lat": "69.6", "lon": "-18.9", "horizon": "-6", "elevation": 0, "pressure": 0, "asked": 0
    }  # fmt: skip
    assert made.is_due(NOON) == (False, timedelta(days=2, hours=1).total_seconds())
    assert made.cal.asked == [(NOON.replace(tzinfo=None) + timedelta(days=days), True) for days in range(3)]
    made.cal.asked = ["sets", "again"]
    assert made.is_due(NOON - timedelta(hours=1)) == (True, 3600.0)
    assert made == solar(*made.__reduce__()[1]) != solar("sunset", 69.6, -18.9)
    for arguments, text in (
        (("sunfall", 0, 0), 'Argument event "sunfall" is invalid, must be one of dawn_astronomical, dawn_civil,'),
        (("sunset", 91, 0), "Argument latitude 91 is invalid, must be between -90 and 90."),
        (("sunset", 0, -181), "Argument longitude -181 is invalid, must be between -180 and 180."),
    ):
        with pytest.raises(ValueError) as raised:
            solar(*arguments)
        assert str(raised.value).startswith(text)


def test_the_sun_needs_ephem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ephem", None)
    with pytest.raises(ImproperlyConfigured, match="pip install ephem"):
        solar("sunset", 0, 0)


def test_the_names_are_celerys() -> None:
    assert set(schedules.__all__) == {
        "ParseException", "crontab", "crontab_parser", "maybe_schedule", "schedule", "solar"
    }  # fmt: skip
