"""Schedules: what is accepted, and when beat runs them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.celery.conformance.experiments import experiment, kind
from tests.celery.conformance.looking import outcome
from tests.celery.conformance.values import value
from tests.celery.conformance.words import module

Celery = module().Celery
crontab, schedule = module("schedules").crontab, module("schedules").schedule

MOST_RUNS = 40
LONGEST_SLEEP = 300  # seconds; beat's own
NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)


def accepted(fields: dict[str, Any]) -> Any:
    try:
        made = crontab(**fields)
    except Exception as error:
        return {"raises": type(error).__name__, "module": type(error).__module__, "text": str(error)}
    return {"sets": {name: sorted(getattr(made, name)) for name in fields}, "repr": repr(made), "str": str(made)}


@kind("crontab/accept/.+", "crontab")
def accepted_data(given: dict[str, Any]) -> Any:
    return accepted(given["crontab"])


@kind("crontab/accept/.+", "crontab", "python")
def accepted_python(given: dict[str, Any]) -> Any:
    return accepted(value(given["python"]))


def app_in(zone: str) -> Any:
    app = Celery("zone", set_as_current=False)
    app.conf.timezone = zone
    return app


@kind("crontab/dst/.+", "timezone", "crontab", "start", "hours")
def runs_of_beat(given: dict[str, Any]) -> Any:
    """Ask whether it is due, and sleep as long as it says, from the time on at which beat is started."""
    app, zone = app_in(given["timezone"]), ZoneInfo(given["timezone"])
    now = datetime(*given["start"], tzinfo=zone).timestamp()
    end = now + given["hours"] * 3600
    made = crontab(
        **given["crontab"], app=app, nowfun=lambda: datetime.fromtimestamp(now, UTC).astimezone(app.timezone)
    )
    last, ran = made.now(), []
    while now < end and len(ran) < MOST_RUNS:
        due, seconds = made.is_due(last)
        if due:
            utc = datetime.fromtimestamp(now, UTC)
            ran.append([utc.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S%z"), utc.strftime("%H:%M:%SZ")])
            last = made.now()
        now = round(now + min(max(seconds, 0.001), LONGEST_SLEEP), 3)
    return ran


@experiment("crontab/missed")
def missed() -> Any:
    app, seen = app_in("UTC"), {}
    for label, deadline, hours in (
        ("no deadline, 15:00", None, 3),
        ("deadline 3600, 15:00", 3600, 3),
        ("deadline 3600, 12:30", 3600, 0.5),
    ):
        app.conf.beat_cron_starting_deadline = deadline
        now = NOON + timedelta(hours=hours)
        made = crontab(minute=0, hour=12, app=app, nowfun=lambda now=now: now)
        first = made.is_due(NOON - timedelta(days=3))
        seen[label] = {"first": [first.is_due, first.next], "then": list(made.is_due(now))}
    return seen


@experiment("schedule/interval")
def intervals() -> Any:
    app, now = app_in("UTC"), NOON + timedelta(hours=1)
    half_a_minute = schedule(30.0, app=app, nowfun=lambda: now)
    seen = {f"{ago} s ago": list(half_a_minute.is_due(now - timedelta(seconds=ago))) for ago in (0, 10, 30, 100)}
    hour = timedelta(hours=1)
    for when in (NOON + timedelta(minutes=59), now):
        relative = schedule(hour, relative=True, app=app, nowfun=lambda when=when: when)
        seen[f"relative at {when:%H:%M}"] = list(relative.is_due(NOON + timedelta(minutes=10)))
    return {
        **seen,
        "repr": [repr(half_a_minute), repr(schedule(hour, relative=True)), repr(schedule(timedelta(days=1)))],
        "zero": outcome(lambda: list(schedule(0, app=app, nowfun=lambda: now).is_due(now))),
    }
