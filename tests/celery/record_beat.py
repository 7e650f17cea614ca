"""Writes entries with the real django-celery-beat and celery-redbeat, and what is then in their stores.

    python tests/celery/record_beat.py POSTGRES_URL REDIS_URL

with both packages, Celery and psycopg installed, an empty database and an empty Redis. The result is in data/beat.
"""

import json
import sys
from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

DATA = Path(__file__).parent / "data" / "beat"
LAST = datetime(2027, 3, 26, 22, 30, tzinfo=UTC)
TABLES = ("periodictask", "intervalschedule", "crontabschedule", "solarschedule", "clockedschedule")


def set_django_up(url: str) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    found = urlsplit(url)
    host = parse_qs(found.query).get("host", [found.hostname])[0]
    database = {"NAME": found.path[1:], "USER": found.username, "HOST": host, "PORT": found.port or ""}
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **database}},
        INSTALLED_APPS=["django_celery_beat"],
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()
    call_command("migrate", verbosity=0)


def write_tasks() -> None:
    from django.db import connection
    from django_celery_beat.models import (
        ClockedSchedule,
        CrontabSchedule,
        IntervalSchedule,
        PeriodicTask,
        SolarSchedule,
    )

    def every(number: int, period: str) -> dict:
        return {"interval": IntervalSchedule.objects.create(every=number, period=period)}

    def cron(zone: str, **fields: str) -> dict:
        return {"crontab": CrontabSchedule.objects.create(timezone=zone, **fields)}

    def task(name: str, **told: object) -> None:
        PeriodicTask.objects.create(**{"name": name, "task": "shop.add", "last_run_at": LAST, **told})

    task(
        "every day", args="[1, 2]", kwargs='{"z": {"__type__": "date", "__value__": "2027-01-01"}}', **every(1, "days")
    )
    task("every 250 ms", **every(250_000, "microseconds"))
    task("never run", last_run_at=None, **every(10, "minutes"))
    task("not enabled", enabled=False, **every(1, "hours"))
    task("to a queue", queue="mail", priority=3, headers='{"tenant": "a"}', expire_seconds=60, **every(5, "minutes"))
    task("in a window", start_time=LAST, expires=LAST + timedelta(days=9), **every(2, "days"))
    task("from a day on", start_time=LAST, last_run_at=None, **every(2, "days"))
    task("Berlin's mornings", **cron("Europe/Berlin", minute="30", hour="2", day_of_week="mon-fri,sun"))
    task("quarters", **cron("UTC", minute="*/15", hour="8-17", day_of_month="1,15", month_of_year="*/2"))
    task("once", one_off=True, clocked=ClockedSchedule.objects.create(clocked_time=LAST + timedelta(hours=1)))
    sunset = SolarSchedule.objects.create(event="sunset", latitude="52.520008", longitude="13.404954")
    task("sunset", solar=sunset)
    task("declared", **every(1, "days"))
    task("of a task that nobody has", task="shop.gone", **every(1, "days"))
    # what its own forms would refuse, and rows can hold
    task("no list", args='{"a": 1}', **every(1, "days"))
    task("no JSON", args="[1, 2", **every(1, "days"))
    task("two schedules", **every(3, "days"))
    task("no such hour", **cron("UTC", hour="25"))
    task("no way", exchange="nowhere", routing_key="nowhere", **every(1, "days"))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE django_celery_beat_periodictask SET crontab_id = (SELECT min(id) FROM"
            " django_celery_beat_crontabschedule) WHERE name = 'two schedules'"
        )
        cursor.execute("UPDATE django_celery_beat_periodictask SET date_changed = '2027-03-20T00:00:00Z'")


def read_tables() -> dict:
    from django.db import connection

    tables = {}
    with connection.cursor() as cursor:
        for table in (f"django_celery_beat_{each}" for each in TABLES):
            cursor.execute(
                "SELECT column_name, CASE data_type WHEN 'numeric' THEN 'numeric(9, 6)' ELSE data_type END"
                " FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position",
                [table],
            )
            columns = cursor.fetchall()
            cursor.execute(f"SELECT to_jsonb(each) FROM {table} AS each ORDER BY id")
            rows = [json.loads(row) if isinstance(row, str) else row for (row,) in cursor.fetchall()]
            tables[table] = {"columns": columns, "rows": rows}
    return tables


def due_times() -> dict:
    """When its crontabs are due next after LAST, as it says itself."""
    from django_celery_beat.models import PeriodicTask

    found = {}
    for task in PeriodicTask.objects.filter(crontab__isnull=False, interval__isnull=True).exclude(name="no such hour"):
        crontab = task.schedule
        moment, times = LAST, []
        for _ in range(5):
            start, delta, _now = crontab.remaining_delta(moment.astimezone(crontab.tz))
            moment = (start + delta).astimezone(UTC)
            times.append(moment.isoformat())
        found[task.name] = times
    return found


def write_redbeat(url: str) -> dict:
    from celery import Celery
    from celery.schedules import crontab, schedule
    from redbeat import RedBeatSchedulerEntry as Entry
    from redbeat.schedulers import get_redis
    from redbeat.schedules import rrule

    app = Celery("shop", broker=url)
    app.conf.redbeat_redis_url = url
    app.conf.beat_schedule = {"declared": {"task": "shop.add", "schedule": 60}}

    def entry(name: str, when: object, last: object = LAST, **told: object) -> None:
        made = Entry(name, "shop.add", when, app=app, **told)
        made.save()
        if last is not None:
            made.reschedule(last)

    entry("every day", schedule(86400.0), args=[1, 2], kwargs={"z": None})
    entry("full hours", schedule(timedelta(hours=1), relative=True))
    entry("never run", schedule(600.0), last=None)
    entry("not enabled", schedule(60.0), enabled=False)
    entry("mornings", crontab(minute="30", hour=2, day_of_week="mon-fri"))
    entry("to a queue", schedule(300.0), options={"queue": "mail", "expires": LAST + timedelta(days=900)})
    entry("seen in Berlin", schedule(60.0), last=LAST.astimezone(timezone(timedelta(hours=1))))
    entry("declared", schedule(60.0))
    entry("a rule", rrule("DAILY", dtstart=LAST, count=3))
    entry("a schedule as argument", schedule(60.0), kwargs={"when": crontab(minute=0)})
    client = get_redis(app)
    client.zadd("redbeat::schedule", {"redbeat:gone": 0})
    keys = client.zrange("redbeat::schedule", 0, -1, withscores=True)
    return {"schedule": keys, "hashes": {key: client.hgetall(key) for key, _ in keys}}


def main() -> None:
    database, redis = sys.argv[1:]
    set_django_up(database)
    write_tasks()
    tables = {"version": version("django-celery-beat"), "tables": read_tables(), "due": due_times()}
    (DATA / "django_celery_beat.json").write_text(json.dumps(tables, indent=1) + "\n")
    entries = {"version": version("celery-redbeat"), **write_redbeat(redis)}
    (DATA / "redbeat.json").write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    main()
