"""Entries that stand in the database, and those that are brought there from django-celery-beat and celery-redbeat.

What these have in their stores was written by themselves: tests/celery/record_beat.py.
"""

import importlib.util
import json
import re
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from tests.celery.test_beat import calls, later, rows
from workrow.celery import Celery
from workrow.celery.beat import Beat
from workrow.celery.beat.brought import django_celery_beat, redbeat
from workrow.celery.beat.brought.entries import Found, Refusal, Refused, bring
from workrow.celery.beat.stored import Stored, StoredEntry
from workrow.celery.commands.beat_import import beat_import

DATA = Path(__file__).parent / "data" / "beat"
TABLES = json.loads((DATA / "django_celery_beat.json").read_text())
KEYS = json.loads((DATA / "redbeat.json").read_text())
LAST = datetime(2027, 3, 26, 22, 30, tzinfo=UTC)
Connection = psycopg.Connection[Any]


@pytest.fixture
def app(database_url: str) -> Iterator[Celery]:
    app = Celery("shop", broker=database_url, set_as_current=False, result_expires=None)
    app.conf.beat_schedule = {"declared": {"task": "shop.add", "schedule": 3600, "args": (0,)}}

    @app.task(name="shop.add")
    def add(*numbers: int, **_: Any) -> int:
        return sum(numbers)

    @app.task(name="shop.double")
    def double(number: int) -> int:
        return 2 * number

    yield app
    app.close()


def put(conn: Connection, name: str, schedule: dict[str, Any], **told: Any) -> None:
    columns = {"app": "shop", "name": name, "task": "shop.add", "schedule": json.dumps(schedule), **told}
    if "args" in columns:
        columns["args"] = json.dumps(columns["args"])
    conn.execute(
        sql.SQL("INSERT INTO workrow.celery_entries ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(map(sql.Placeholder, columns))
        ),
        columns,
    )


def ago(**units: float) -> datetime:
    return datetime.now(UTC) - timedelta(**units)


# ---------------------------------------------------------------- beat sends them


def test_a_row_is_sent_when_it_is_due_counted_from_where_it_was_sent_last(app: Celery, conn: Connection) -> None:
    put(conn, "due", {"every": 60}, args=[1, 2], options='{"queue": "mail"}', last_run_at=ago(hours=1))
    put(conn, "not due", {"every": 7200}, last_run_at=ago(hours=1))
    put(conn, "new", {"every": 60})
    beat = Beat(app)
    assert set(beat.schedule) == {"declared"}
    assert beat.run_once() < 61
    assert calls(conn) == [("shop.add", 1, 2)]
    assert conn.execute("SELECT queue_name FROM procrastinate_jobs").fetchall() == [("mail",)]
    assert set(rows(conn)) == {"declared", "due", "not due", "new"}
    assert timedelta(minutes=59) < rows(conn)["not due"]["age"] < timedelta(minutes=61)
    beat.run_once()
    assert len(calls(conn)) == 1
    later(conn, 3700)
    beat.run_once()
    assert Counter(calls(conn)) == {("shop.add", 1, 2): 2, ("shop.add",): 2, ("shop.add", 0): 1}


def test_what_is_changed_in_the_table_is_sent_as_it_is_then(app: Celery, conn: Connection) -> None:
    put(conn, "it", {"every": 60}, args=[1])
    beats = [Beat(app), Beat(app)]
    for each in beats:
        each.run_once()
    conn.execute("UPDATE workrow.celery_entries SET args = '[2]'")
    later(conn, 100)
    for each in beats:
        each.run_once()
    assert calls(conn) == [("shop.add", 2)]
    conn.execute("UPDATE workrow.celery_entries SET enabled = false")
    later(conn, 100)
    for each in beats:
        each.run_once()
    assert len(calls(conn)) == 1
    assert "it" not in beats[0].schedule
    conn.execute("UPDATE workrow.celery_entries SET enabled = true, schedule = '{\"every\": 3000}'")
    for each in beats:
        each.run_once()
    assert len(calls(conn)) == 1
    assert rows(conn)["it"]["schedule"] == "<freq: 50.00 minutes>"


def test_what_is_sent_once_is_sent_once(app: Celery, conn: Connection) -> None:
    put(conn, "at a time", {"at": ago(minutes=1).isoformat()}, one_off=True, args=[1])
    put(conn, "to come", {"at": ago(minutes=-50).isoformat()}, one_off=True, args=[2])
    put(conn, "an interval", {"every": 60}, one_off=True, args=[3], last_run_at=ago(hours=1))
    put(conn, "unsendable", {"every": 60}, one_off=True, task="celery.group", last_run_at=ago(hours=1))
    beats = [Beat(app), Beat(app)]
    for each in beats * 2:
        each.run_once()
    assert sorted(calls(conn)) == [("shop.add", 1), ("shop.add", 3)]
    left = conn.execute("SELECT name FROM workrow.celery_entries WHERE enabled").fetchall()
    assert left == [("to come",)]
    assert rows(conn)["unsendable"]["last_error"].startswith("Couldn't apply scheduled task unsendable")


def test_who_has_taken_an_entry_out_is_asked_in_the_moment_of_sending(app: Celery, conn: Connection) -> None:
    put(conn, "once", {"every": 60}, one_off=True, last_run_at=ago(hours=1))
    beat = Beat(app)
    send = beat._take

    def taken_out(*told: Any) -> bool:
        conn.execute("UPDATE workrow.celery_entries SET enabled = false")
        return send(*told)

    beat._take = taken_out  # type: ignore[method-assign]
    beat.run_once()
    assert calls(conn) == []


def test_nothing_is_sent_outside_of_its_time(app: Celery, conn: Connection) -> None:
    due = {"last_run_at": ago(hours=1)}
    put(conn, "in it", {"every": 60}, args=[1], starts_at=ago(days=1), ends_at=ago(days=-1), **due)
    put(conn, "before", {"every": 60}, args=[2], starts_at=ago(seconds=-20), **due)
    put(conn, "after", {"every": 60}, args=[3], ends_at=ago(seconds=1), **due)
    put(conn, "never", {"every": 60}, args=[4], starts_at="infinity", last_run_at="-infinity")
    assert Beat(app).run_once() < 20.1
    assert calls(conn) == [("shop.add", 1)]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"schedule": '{"every": 0}'}, r"every=0: must be more than 0 seconds"),
        ({"schedule": '{"every": 1, "at": "x"}'}, r"must be an object with one of crontab, every, solar, at"),
        ({"schedule": "[]"}, "must be an object with one of"),
        ({"schedule": '{"crontab": {"minute": "61"}}'}, "odd: .*61"),
        ({"schedule": '{"crontab": {"timezone": "Mars"}}'}, "odd: .*Mars"),
        ({"schedule": '{"at": "noon"}'}, "odd: .*noon"),
        ({"args": '{"a": 1}'}, "odd: args must be a list"),
        ({"options": "[]"}, "kwargs and options objects"),
        ({"task": ""}, "'task' must be the name of a task"),
    ],
    ids=lambda each: next(iter(each.values())) if isinstance(each, dict) else "",
)
def test_a_row_that_makes_no_sense_is_told_once_and_holds_no_other(
    app: Celery, conn: Connection, told: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(conn, "good", {"every": 60}, args=[1], last_run_at=ago(hours=1))
    put(conn, "odd", {"every": 60}, last_run_at=ago(hours=1))
    for column, value in told.items():
        update = sql.SQL("UPDATE workrow.celery_entries SET {} = %s WHERE name = 'odd'")
        conn.execute(update.format(sql.Identifier(column)), [value])
    beat = Beat(app)
    beat.run_once()
    beat.run_once()
    assert calls(conn) == [("shop.add", 1)]
    (said,) = [each.getMessage() for each in caplog.records if "is not sent" in each.getMessage()]
    assert re.search(why, said), said


def test_beat_schedule_goes_before_a_row_of_the_same_name(
    app: Celery, conn: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    put(conn, "declared", {"every": 60}, args=[1], last_run_at=ago(hours=1))
    beat = Beat(app)
    beat.run_once()
    beat.run_once()
    assert calls(conn) == []
    told = [each.getMessage() for each in caplog.records]
    assert told.count("beat: declared stands in beat_schedule and in the database: the former is sent") == 1


# ---------------------------------------------------------------- django-celery-beat


@pytest.fixture
def tables(database_url: str, conn: Connection) -> str:
    """django-celery-beat's tables, as it has filled them; its URL."""
    for table, found in TABLES["tables"].items():
        columns = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in found["columns"]]
        conn.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(table), sql.SQL(", ").join(columns)))
        insert = sql.SQL("INSERT INTO {0} SELECT * FROM jsonb_populate_recordset(CAST(NULL AS {0}), %s)")
        conn.execute(insert.format(sql.Identifier(table)), [json.dumps(found["rows"])])
    return database_url


def brought(app: Celery, url: str, dry: bool = False) -> dict[str, tuple[str, str]]:
    lines = bring(app, django_celery_beat.SOURCE, list(django_celery_beat.entries(url)), dry)
    return {line.name: (line.outcome, line.told) for line in lines}


def test_periodic_tasks_are_brought_and_who_cannot_be_is_named(app: Celery, tables: str, conn: Connection) -> None:
    seen = brought(app, tables)
    assert {name: told for name, (outcome, told) in seen.items() if outcome == "not taken"} == {
        "no JSON": "its args are no JSON: [1, 2",
        "no list": 'its args are no JSON list: {"a": 1}',
        "no such hour": "Invalid end range: 25 > 23.",
        "no way": seen["no way"][1],
        "sunset": "solar schedules need the package ephem: pip install ephem",
        "two schedules": "it has 2 schedules, and must have one",
    }
    assert "nowhere" in seen["no way"][1]
    assert seen["declared"] == ("left", "it stands in beat_schedule, which goes first")
    assert {name: told for name, (outcome, told) in seen.items() if outcome == "new"} == {
        "Berlin's mornings": "shop.add, <crontab: 30 2 * * mon-fri,sun (m/h/dM/MY/d)>",
        "every 250 ms": "shop.add, <freq: now>",
        "every day": "shop.add, <freq: 1.00 day>",
        "from a day on": f"shop.add, <freq: 2.00 days>, from {LAST}",
        "in a window": f"shop.add, <freq: 2.00 days>, from {LAST}, until {LAST + timedelta(days=9)}",
        "never run": "shop.add, <freq: 10.00 minutes>",
        "not enabled": "shop.add, <freq: 1.00 hour>; not enabled",
        "of a task that nobody has": "shop.gone, <freq: 1.00 day>; this app does not know the task",
        "once": f"shop.add, <clocked: {LAST + timedelta(hours=1)}>, once",
        "quarters": "shop.add, <crontab: */15 8-17 1,15 */2 * (m/h/dM/MY/d)>",
        "to a queue": "shop.add, <freq: 5.00 minutes>",
    }
    assert len(seen) == len(TABLES["tables"]["django_celery_beat_periodictask"]["rows"])
    row = conn.execute(
        "SELECT options, one_off, enabled, last_run_at, source FROM workrow.celery_entries WHERE name = 'to a queue'"
    ).fetchone()
    headers = {"tenant": "a", "periodic_task_name": "to a queue"}
    told = {"queue": "mail", "priority": 3, "expires": 60, "headers": headers}
    entry = StoredEntry(app, Stored("x", "y", {"every": 1}, [], {}, row[0] if row else None))
    assert entry.options == told
    assert row
    assert row[1:] == (False, True, LAST, "django-celery-beat")


def test_what_is_brought_is_sent_as_it_was_there(app: Celery, tables: str, conn: Connection) -> None:
    conn.execute("UPDATE django_celery_beat_periodictask SET last_run_at = now() - interval '1 day 1 minute'")
    conn.execute("UPDATE django_celery_beat_periodictask SET enabled = name IN ('every day', 'to a queue')")
    brought(app, tables)
    Beat(app).run_once()
    sent = conn.execute("SELECT args -> 'args', args -> 'kwargs', queue_name, args FROM procrastinate_jobs ORDER BY id")
    (day, mail) = sorted(sent.fetchall(), key=lambda each: str(each[2]))
    assert day[0] == [1, 2]
    assert day[1] == {"z": {"__type__": "date", "__value__": "2027-01-01"}}
    assert mail[2] == "mail"
    assert "celery_beat_task" in json.dumps(mail[3])
    assert "periodic_task_name" in json.dumps(mail[3])


def test_a_second_time_brings_what_has_changed_and_undoes_nothing(app: Celery, tables: str, conn: Connection) -> None:
    def state() -> Any:
        return conn.execute("SELECT * FROM workrow.celery_entries ORDER BY name").fetchall()

    would = brought(app, tables, dry=True)
    assert state() == []
    assert brought(app, tables) == would
    first = state()
    again = brought(app, tables)
    assert state() == first
    assert {outcome for outcome, _ in again.values()} == {"unchanged", "left", "not taken"}
    conn.execute("UPDATE workrow.celery_entries SET enabled = false WHERE name = 'once'")  # it was sent here
    conn.execute("UPDATE django_celery_beat_periodictask SET last_run_at = '2027-03-27' WHERE name = 'every day'")
    conn.execute("UPDATE django_celery_beat_periodictask SET args = '[5]' WHERE name = 'to a queue'")
    conn.execute("DELETE FROM django_celery_beat_periodictask WHERE name = 'quarters'")
    third = brought(app, tables)
    assert third["once"][0] == third["every day"][0] == "unchanged"
    assert third["to a queue"][0] == "changed"
    assert third["quarters"] == ("gone", "django-celery-beat has it no more; delete its row if it is not to be sent")
    found = {
        row[0]: row[1:] for row in conn.execute("SELECT name, enabled, args, last_run_at FROM workrow.celery_entries")
    }
    assert found["once"][0] is False
    assert found["to a queue"][1] == [5]
    assert found["every day"][2] == datetime(2027, 3, 27, tzinfo=UTC)


@pytest.mark.parametrize("name", [*TABLES["due"]])
def test_crontabs_are_due_in_their_zones_when_they_are_there(app: Celery, tables: str, name: str) -> None:
    (found,) = [each for each in django_celery_beat.entries(tables) if each.name == name]
    assert not isinstance(found, Refused)
    made: Any = StoredEntry(app, Stored(found.name, found.task, found.schedule, [], {}, {})).schedule
    moment, times = LAST, []
    for _ in TABLES["due"][name]:
        start, delta, _now = made.remaining_delta(moment)
        moment = (start + delta).astimezone(UTC)
        times.append(moment.isoformat())
    assert times == TABLES["due"][name]


# ---------------------------------------------------------------- redbeat


def test_entries_of_redbeat_are_brought(app: Celery, conn: Connection) -> None:
    def found() -> Iterator[Any]:
        for key, _ in KEYS["schedule"]:
            told = KEYS["hashes"][key]
            try:
                yield redbeat.read(told.get("definition"), told.get("meta"))
            except Refusal as error:
                yield Refused(key.removeprefix(redbeat.PREFIX), str(error))

    lines = {line.name: (line.outcome, line.told) for line in bring(app, redbeat.SOURCE, found())}
    assert lines == SEEN_OF_REDBEAT
    kept = conn.execute("SELECT name, args, kwargs, enabled, last_run_at, schedule FROM workrow.celery_entries")
    entries = {name: rest for name, *rest in kept}
    assert entries["every day"] == [[1, 2], {"z": None}, True, LAST, {"every": 86400.0, "relative": False}]
    assert entries["full hours"][4] == {"every": 3600.0, "relative": True}
    assert entries["seen in Berlin"][3] == LAST
    assert entries["not enabled"][2] is False
    row = conn.execute("SELECT options FROM workrow.celery_entries WHERE name = 'to a queue'").fetchone()
    entry = StoredEntry(app, Stored("x", "y", {"every": 1}, [], {}, row and row[0]))
    assert entry.options == {"queue": "mail", "expires": LAST + timedelta(days=900)}


RULE = "its schedule is an rrule, which there is not here: put it into a crontab or an interval"
SEEN_OF_REDBEAT = {
    "a rule": ("not taken", RULE),
    "a schedule as argument": ("not taken", "its arguments hold a schedule (crontab), which is no JSON"),
    "declared": ("left", "it stands in beat_schedule, which goes first"),
    "every day": ("new", "shop.add, <freq: 1.00 day>"),
    "full hours": ("new", "shop.add, <freq: 1.00 hour>"),
    "gone": ("not taken", "its hash holds no entry of redbeat: Expecting value: line 1 column 1 (char 0)"),
    "mornings": ("new", "shop.add, <crontab: 30 2 * * mon-fri (m/h/dM/MY/d)>"),
    "never run": ("new", "shop.add, <freq: 10.00 minutes>"),
    "not enabled": ("new", "shop.add, <freq: 1.00 minute>; not enabled"),
    "seen in Berlin": ("new", "shop.add, <freq: 1.00 minute>"),
    "to a queue": ("new", "shop.add, <freq: 5.00 minutes>"),
}


@pytest.mark.parametrize(
    ("definition", "meta", "why"),
    [
        ("[]", None, "its hash holds no entry"),
        ('{"name": "x"}', None, "its hash holds no entry of redbeat: 'task'"),
        ('{"name": "x", "task": "t", "schedule": {"__type__": "moon"}}', None, "its schedule is none that is known"),
        ('{"name": "x", "task": "t", "schedule": 5}', None, "its schedule is none that is known: 5"),
        ('{"name": "x", "task": "t", "schedule": 5}', "[", "its hash holds no entry"),
    ],
)
def test_a_hash_that_cannot_be_read_is_refused(definition: str, meta: str | None, why: str) -> None:
    with pytest.raises(Refusal) as raised:
        redbeat.read(definition, meta)
    assert str(raised.value).startswith(why)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis that has what redbeat has written."""
    if not shutil.which("redis-server") or not importlib.util.find_spec("redis"):
        pytest.skip("needs redis-server and its client")
    import redis

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port) as client:
            for _ in range(200):
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
            for key, score in KEYS["schedule"]:
                client.zadd(f"{redbeat.PREFIX}:schedule", {key: score})
                if told := KEYS["hashes"][key]:
                    client.hset(key, mapping=told)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(30)


# ---------------------------------------------------------------- the command


@pytest.fixture
def run(app: Celery) -> Callable[..., tuple[int, str]]:
    def one(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(beat_import, [*words], obj=app)
        return result.exit_code, result.output or repr(result.exception)

    return one


def test_the_command_of_redbeat(run: Callable[..., tuple[int, str]], redis_url: str) -> None:
    code, output = run("--redbeat", redis_url)
    assert code == 1
    assert output.splitlines()[-1] == "3 not taken, 7 new, 1 left"
    assert sorted(output.splitlines()[:-1]) == sorted(
        f"{how}: {name}: {why}" for name, (how, why) in SEEN_OF_REDBEAT.items()
    )
    code, output = run("--redbeat", redis_url, "--key-prefix", "other:")
    assert (code, output.splitlines()[-1]) == (0, "7 gone")


def test_the_command_of_django_celery_beat(run: Callable[..., tuple[int, str]], tables: str, conn: Connection) -> None:
    code, output = run("--django-celery-beat", tables, "--dry-run")
    assert (code, output.splitlines()[-1]) == (1, "11 new, 1 left, 6 not taken; nothing was written")
    assert "\nnot taken: two schedules: it has 2 schedules, and must have one\n" in output
    assert conn.execute("SELECT count(*) FROM workrow.celery_entries").fetchone() == (0,)
    conn.execute("DELETE FROM django_celery_beat_periodictask WHERE name <> 'every day'")
    assert run("--django-celery-beat", tables) == (0, "new: every day: shop.add, <freq: 1.00 day>\n1 new\n")
    assert run("--django-celery-beat", tables) == (0, "unchanged: every day: shop.add, <freq: 1.00 day>\n1 unchanged\n")


def test_arguments_that_do_not_fit_are_told(app: Celery) -> None:
    (line,) = bring(app, "x", [Found("it", "shop.double", {"every": 1}, [1, 2], {}, {})])
    assert line.outcome == "new"
    assert line.told.startswith(
        "shop.double, <freq: 1.00 second>; its arguments do not fit: double() takes 1 positional"
    )


def test_an_entry_of_both_is_taken_once(app: Celery, tables: str) -> None:
    brought(app, tables)
    told = KEYS["hashes"]["redbeat:every day"]
    (line,) = bring(app, redbeat.SOURCE, [redbeat.read(told["definition"], told["meta"])])
    assert (line.outcome, line.told) == ("not taken", "there is one of this name, from django-celery-beat")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "name one: --django-celery-beat URL or --redbeat URL"),
        (["--redbeat", "a", "--django-celery-beat", "b"], "name one"),
        (["--django-celery-beat", "postgresql://127.0.0.1:1/x"], "--django-celery-beat: "),
    ],
)
def test_what_the_command_cannot_do(run: Callable[..., tuple[int, str]], words: list[str], why: str) -> None:
    code, output = run(*words)
    assert code != 0
    assert why in output


def test_a_database_without_the_tables_is_told(run: Callable[..., tuple[int, str]], database_url: str) -> None:
    code, output = run("--django-celery-beat", database_url)
    assert code != 0
    assert "no tables of django-celery-beat 2 there" in output
