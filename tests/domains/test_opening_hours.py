"""When people are called, by the clock on their wall, also on the days when it is set."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.opening_hours import UnknownZone, parse, zone_of

BERLIN = "Europe/Berlin"
OFFICE = "mon-fri 09:00-18:00, sat 10:00-14:00"


def opening(hours: str, zone: str, at: str) -> str:
    """The next opening after a moment, both by the wall clock; the offset tells the two passes of an hour apart."""
    moment = datetime.fromisoformat(at)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
    found = parse(hours).next_opening(ZoneInfo(zone), moment)
    return found.astimezone(ZoneInfo(zone)).isoformat()


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2027-02-03T11:30:15", "2027-02-03T11:30:15+01:00"),  # open
        ("2027-02-03T09:00:00", "2027-02-03T09:00:00+01:00"),
        ("2027-02-03T08:59:59", "2027-02-03T09:00:00+01:00"),
        ("2027-02-03T18:00:00", "2027-02-04T09:00:00+01:00"),  # the end is not open any more
        ("2027-02-05T18:00:00", "2027-02-06T10:00:00+01:00"),  # Saturday has hours of its own
        ("2027-02-06T14:00:00", "2027-02-08T09:00:00+01:00"),  # over Sunday
        ("2027-03-27T15:00:00", "2027-03-29T09:00:00+02:00"),  # over the change: nine o'clock is nine o'clock
        ("2027-10-30T15:00:00", "2027-11-01T09:00:00+01:00"),
    ],
)
def test_the_week_of_an_office(at: str, opens: str) -> None:
    assert opening(OFFICE, BERLIN, at) == opens


@pytest.mark.parametrize(
    ("hours", "at", "opens"),
    [
        # on 28 March 2027 the clock goes from 02:00 to 03:00
        ("sun 02:30-05:00", "2027-03-28T00:00:00", "2027-03-28T03:00:00+02:00"),  # half past two never comes
        ("sun 02:00-05:00", "2027-03-28T00:00:00", "2027-03-28T03:00:00+02:00"),
        ("sun 02:10-02:50", "2027-03-28T00:00:00", "2027-04-04T02:10:00+02:00"),  # not at all on that day
        ("sun 03:30-05:00", "2027-03-28T00:00:00", "2027-03-28T03:30:00+02:00"),
        # on 31 October 2027 it goes from 03:00 back to 02:00
        ("sun 02:30-05:00", "2027-10-31T00:00:00", "2027-10-31T02:30:00+02:00"),  # the first time
        ("sun 02:30-05:00", "2027-10-31T02:10:00+01:00", "2027-10-31T02:30:00+01:00"),  # closed again, then open again
        ("sun 01:00-02:30", "2027-10-31T02:45:00+02:00", "2027-10-31T02:00:00+01:00"),  # set back into the hours
        ("sun 02:10-02:20", "2027-10-31T02:30:00+02:00", "2027-10-31T02:10:00+01:00"),
    ],
)
def test_the_days_when_the_clock_is_set(hours: str, at: str, opens: str) -> None:
    assert opening(hours, BERLIN, at) == opens


def test_zones_that_are_odd() -> None:
    # Lord Howe moves by half an hour: 02:00 becomes 02:30
    assert opening("sun 02:10-05:00", "Australia/Lord_Howe", "2027-10-03T00:00:00") == "2027-10-03T02:30:00+11:00"
    # in Beirut the clock is set at midnight
    assert opening("sun 00:30-05:00", "Asia/Beirut", "2027-03-27T12:00:00") == "2027-03-28T01:00:00+03:00"
    # Samoa had no 30 December 2011, which was a Friday
    assert opening("fri 09:00-10:00", "Pacific/Apia", "2011-12-29T12:00:00") == "2012-01-06T09:00:00+14:00"


@settings(max_examples=60, deadline=None)
@given(
    moment=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    zone=st.sampled_from(
        [BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana", "UTC"]
    ),
    hours=st.sampled_from([OFFICE, "sun 02:30-03:10", "mon-sun 23:30-24:00, mon-sun 00:00-00:10", "wed 00:00-24:00"]),
)
def test_the_next_opening_is_open_and_there_is_none_before_it(moment: datetime, zone: str, hours: str) -> None:
    wall, week = ZoneInfo(zone), parse(hours)
    moment = moment.replace(microsecond=0)
    opens = week.next_opening(wall, moment)
    assert opens >= moment
    assert week.is_open(wall, opens)
    if opens > moment:
        assert not week.is_open(wall, opens - timedelta(seconds=1))
        step = (opens - moment) / 100
        assert not any(week.is_open(wall, moment + step * each) for each in range(100))


@pytest.mark.parametrize(
    "hours",
    [
        *("", "mon", "mon 9-18", "mon 09:00-09:00", "mon 18:00-09:00", "mon 09:00-24:01", "mon 09:60-10:00"),
        *("xyz 09:00-10:00", "fri-mon 09:00-10:00", "mon 24:00-24:00", "mon 09:00-18:00,"),
        "mon 09:00-12:00, mon-tue 11:00-13:00",
    ],
)
def test_hours_that_cannot_be_read_say_how_to_write_them(hours: str) -> None:
    with pytest.raises(ValueError, match="mon-fri 09:00-18:00, sat 10:00-14:00"):
        parse(hours)


@pytest.mark.parametrize("name", ["Europe/Berln", "", "../etc/passwd", "Europe", "\x00"])
def test_a_zone_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(UnknownZone, match="such as 'Europe/Berlin'"):
        zone_of(name)
