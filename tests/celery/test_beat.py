"""Beat sends what is due once, whoever else runs and whatever happens; when that is, Celery 5.7.0 was seen to say."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.rows import dict_row

from workrow.celery import Celery, chain, group, signals
from workrow.celery.beat import Beat, BeatLazyFunc, beat_of
from workrow.celery.exceptions import ImproperlyConfigured
from workrow.celery.schedules import crontab, schedule
from workrow.celery.schedules.base import BaseSchedule, schedstate
from workrow.errors import SchemaMissing

HOUR = 3600


def made(database_url: str, entries: dict[str, Any] | None = None, **settings: Any) -> Celery:
    app = Celery("shop", broker=database_url, set_as_current=False, result_expires=None, **settings)
    if entries is not None:
        app.conf.beat_schedule = entries

    @app.task(name="shop.add")
    def add(x: int, y: int = 0) -> int:
        return x + y

    return app


@pytest.fixture
def make(database_url: str) -> Iterator[Callable[..., Beat]]:
    """Beats of apps, as they begin."""
    apps = []

    def one(entries: dict[str, Any], **settings: Any) -> Beat:
        apps.append(made(database_url, entries, **settings))
        return beat_of(apps[-1])

    yield one
    for app in apps:
        app.close()


def calls(conn: psycopg.Connection) -> list[Any]:
    """What was sent: task and arguments."""
    rows = conn.execute("SELECT task_name, args -> 'args' FROM procrastinate_jobs ORDER BY id").fetchall()
    return [(name, *args) for name, args in rows]


def rows(conn: psycopg.Connection) -> dict[str, Any]:
    cursor = conn.cursor(row_factory=dict_row)
    found = cursor.execute("SELECT *, clock_timestamp() - last_run_at AS age FROM workrow.celery_schedules").fetchall()
    return {row["name"]: row for row in found}


def later(conn: psycopg.Connection, seconds: float) -> None:
    """Everything that has happened was so much earlier."""
    conn.execute(
        "UPDATE workrow.celery_beat SET last_run_at = last_run_at - %(by)s * interval '1 s',"
        " declared_at = declared_at - %(by)s * interval '1 s'",
        {"by": seconds},
    )


ADD = {"task": "shop.add", "args": (1,)}


# ---------------------------------------------------------------- what an app declares


def test_names_and_entries_of_add_periodic_task(database_url: str) -> None:
    app = made(database_url)
    add = app.tasks["shop.add"]
    assert app.conf.beat_schedule == {}
    nightly = crontab(minute=3)

    def entry(schedule: Any, args: Any = (), kwargs: Any = None, **options: Any) -> dict[str, Any]:
        return {"schedule": schedule, "task": "shop.add", "args": args, "kwargs": kwargs or {}, "options": options}

    seen = {
        app.add_periodic_task(10, add.s(1)): entry(10, (1,)),
        app.add_periodic_task(10, add.s(1), name="named"): entry(10, (1,)),
        app.add_periodic_task(10.0, add.s(1), args=(5,), kwargs={"y": 7}, queue="q", expires=3): entry(
            10.0, (5, 1), {"y": 7}, queue="q", expires=3
        ),
        app.add_periodic_task(timedelta(seconds=3), add, args=(2,), name="task", relative=True): entry(
            timedelta(seconds=3), (2,), relative=True
        ),
        app.add_periodic_task(nightly, add.s().set(queue="a", priority=3), queue="b"): entry(
            nightly, queue="b", priority=3
        ),
        app.add_periodic_task(10, add.si(1, y=9), args=(5,), kwargs={"y": 2}): entry(10, (1,), {"y": 9}),
    }
    assert seen == app.conf.beat_schedule
    assert list(seen) == ["shop.add(1)", "named", "shop.add(5, 1, y=7)", "task", "shop.add()", "shop.add(1, y=9)"]
    app.add_periodic_task(20, add.s(1))
    assert app.conf.beat_schedule["shop.add(1)"]["schedule"] == 20
    with pytest.raises(AttributeError):
        app.add_periodic_task(10, "shop.add")


def test_entries_wait_for_settings_and_receivers_are_told_then(database_url: str, caplog: Any) -> None:
    app = made(database_url)
    told = []

    @app.on_after_configure.connect
    def add_more(sender: Celery, source: Any, **_: Any) -> None:
        told.append("configured")
        assert source is app.conf
        sender.add_periodic_task(5, sender.signature("shop.add", (2,)), name="of a receiver")

    @app.on_after_configure.connect
    def fails(**_: Any) -> None:
        raise ValueError("no")

    @app.on_after_finalize.connect
    def finalized(sender: Celery, **_: Any) -> None:
        told.append("finalized")
        sender.add_periodic_task(5, sender.tasks["shop.add"].s(3), name="at the end")

    app.add_periodic_task(5, app.signature("shop.add", (1,)), name="early")
    app.conf.beat_schedule = {"setting": {"task": "shop.add", "schedule": 5}}
    app.conf.timezone = "Europe/Berlin"
    assert not told
    assert list(app.conf.beat_schedule) == ["setting", "early", "of a receiver"]
    assert "raised ValueError('no')" in caplog.text
    app.finalize()
    app.finalize()
    assert told == ["configured", "finalized"]
    assert list(app.conf.beat_schedule)[-1] == "at the end"


@pytest.mark.parametrize(
    ("settings", "zone"),
    [
        ({}, ZoneInfo("UTC")),
        ({"timezone": "Europe/Berlin"}, ZoneInfo("Europe/Berlin")),
        ({"timezone": "Europe/Berlin", "enable_utc": False}, ZoneInfo("Europe/Berlin")),
        ({"timezone": UTC}, UTC),
        ({"enable_utc": False}, ZoneInfo("Asia/Tokyo")),
    ],
)
def test_the_zone_of_an_app(database_url: str, monkeypatch: Any, settings: dict[str, Any], zone: Any) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    app = made(database_url, **settings)
    assert app.timezone == zone
    assert app.now().tzinfo == zone
    assert abs(app.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert app.uses_utc_timezone() == (settings == {})


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"schedule": 5}, "'task' must be the name of a task, not None"),
        ({"task": "x"}, "'schedule' must be seconds, a timedelta or a schedule, not None"),
        ({"task": "x", "schedule": "soon"}, "not 'soon'"),
        ({"task": "x", "schedule": 5, "every": 3}, r"there is \['every'\]"),
        (5, "there is 5"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(make: Callable[..., Beat], entry: Any, words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"beat_schedule\['odd'\].*{words}"):
        make({"odd": entry})


def test_another_scheduler_is_refused(make: Callable[..., Beat]) -> None:
    make({}, beat_scheduler="celery.beat:PersistentScheduler")
    with pytest.raises(ImproperlyConfigured, match=r"beat_scheduler='django_celery_beat.*put the entries into"):
        make({}, beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler")


def test_results_that_expire_are_cleaned_up_at_night(database_url: str) -> None:
    app = Celery("shop", broker=database_url, set_as_current=False)
    (entry,) = beat_of(app).schedule.values()
    assert (entry.name, str(entry), entry.options) == (
        "celery.backend_cleanup",
        "<crontab: 0 4 * * * (m/h/dM/MY/d)>",
        {"expires": 43200},
    )


# ---------------------------------------------------------------- when


def test_a_new_entry_counts_from_its_start(make: Callable[..., Beat], conn: psycopg.Connection) -> None:
    beat = make({"often": {**ADD, "schedule": 0.3}, "seldom": {**ADD, "schedule": HOUR}})
    assert 0 < beat.run_once() <= 0.3
    assert calls(conn) == []
    time.sleep(0.3)
    assert 0.2 < beat.run_once() <= 0.3
    assert calls(conn) == [("shop.add", 1)]
    row = rows(conn)["often"]
    assert (row["app"], row["task"]) == ("shop", "shop.add")
    assert (row["total_run_count"], row["last_error"]) == (1, None)
    assert row["next_run_at"] - row["last_run_at"] == timedelta(seconds=0.3)
    assert rows(conn)["seldom"]["schedule"] == "<freq: 1.00 hour>"
    assert rows(conn)["seldom"]["next_run_at"] > datetime.now(UTC) + timedelta(minutes=59)


def test_what_was_missed_is_made_up_for_once(make: Callable[..., Beat], conn: psycopg.Connection) -> None:
    entries = {
        "interval": {**ADD, "schedule": 10},
        "clock": {"task": "shop.add", "args": (2,), "schedule": crontab()},
        "late": {"task": "shop.add", "args": (3,), "schedule": HOUR * 24},
    }
    make(entries).run_once()
    later(conn, 3 * HOUR)
    beat = make(entries)
    beat.run_once()
    beat.run_once()
    assert sorted(calls(conn)) == [("shop.add", 1), ("shop.add", 2)]
    assert {name: row["total_run_count"] for name, row in rows(conn).items()} == {"interval": 1, "clock": 1, "late": 0}


def test_the_starting_deadline_of_crontabs(make: Callable[..., Beat], conn: psycopg.Connection) -> None:
    ago = datetime.now(UTC) - timedelta(hours=2)
    entries = {"past": {**ADD, "schedule": crontab(minute=ago.minute, hour=ago.hour)}}
    make(entries, beat_cron_starting_deadline=HOUR).run_once()
    later(conn, 3 * HOUR)
    make(entries, beat_cron_starting_deadline=HOUR).run_once()
    assert calls(conn) == []
    make(entries, beat_cron_starting_deadline=3 * HOUR).run_once()
    assert calls(conn) == [("shop.add", 1)]


def test_a_changed_entry_keeps_its_last_run_and_one_that_comes_back_does_not(
    make: Callable[..., Beat], conn: psycopg.Connection
) -> None:
    make({"changed": {**ADD, "schedule": 4 * HOUR}, "gone": {**ADD, "schedule": 4 * HOUR}}).run_once()
    later(conn, 3 * HOUR)
    changed = {"task": "shop.other", "args": (7,), "schedule": HOUR}
    make({"changed": changed}).run_once()
    assert calls(conn) == [("shop.other", 7)]
    assert list(rows(conn)) == ["changed"]
    make({"changed": changed, "gone": {**ADD, "schedule": HOUR}}).run_once()
    assert rows(conn)["gone"]["age"] < timedelta(minutes=1)
    assert len(calls(conn)) == 1


def test_in_another_time_zone_entries_begin_anew(make: Callable[..., Beat], conn: psycopg.Connection) -> None:
    entries = {"it": {**ADD, "schedule": HOUR}}
    make(entries).run_once()
    later(conn, 3 * HOUR)
    make(entries, timezone="Europe/Berlin").run_once()  # there was none before: it goes on
    assert len(calls(conn)) == 1
    later(conn, 3 * HOUR)
    make(entries, timezone="Asia/Tokyo").run_once()
    assert len(calls(conn)) == 1
    assert (rows(conn)["it"]["total_run_count"], rows(conn)["it"]["timezone"]) == (0, "Asia/Tokyo")


@pytest.mark.parametrize(("back", "goes_on"), [(HOUR, True), (15, False)])
def test_a_clock_that_was_set_back(
    make: Callable[..., Beat], conn: psycopg.Connection, back: float, goes_on: bool
) -> None:
    """Who would miss many due times goes on from now; whose due time has had its call waits for the next."""
    beat = make({"it": {**ADD, "schedule": 10}})
    beat.run_once()
    later(conn, -back)
    assert beat.run_once() <= 10 + (0 if goes_on else back)
    assert (rows(conn)["it"]["age"] > timedelta(0)) == goes_on
    assert calls(conn) == []


@pytest.mark.parametrize("odd", ["infinity", "-infinity"])
def test_a_time_that_nobody_can_read(make: Callable[..., Beat], conn: psycopg.Connection, odd: str) -> None:
    beat = make({"it": {**ADD, "schedule": 10}})
    beat.run_once()
    conn.execute("UPDATE workrow.celery_beat SET last_run_at = %s", [odd])
    beat.run_once()
    assert rows(conn)["it"]["age"] < timedelta(minutes=1)


class Every(BaseSchedule):
    """A schedule of one's own."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def is_due(self, last_run_at: datetime) -> schedstate:
        if isinstance(self.answer, Exception):
            raise self.answer
        found: schedstate = self.answer(self.now(), last_run_at)
        return found


def test_schedules_of_ones_own(make: Callable[..., Beat], conn: psycopg.Connection, caplog: Any) -> None:
    seen = []

    def due(now: datetime, last: datetime) -> schedstate:
        seen.append((now, last))
        return schedstate(True, 7.0)

    beat = make(
        {
            "broken": {**ADD, "schedule": Every(OSError("no idea"))},
            "own": {"task": "shop.add", "args": (2,), "schedule": Every(due)},
            "silent": {**ADD, "schedule": Every(lambda *_: (False, None))},
        },
        timezone="Europe/Berlin",
    )
    assert 6 < beat.run_once() <= 7
    assert calls(conn) == [("shop.add", 2)]
    assert "broken: its schedule does not say when it is due: no idea" in caplog.text
    assert {time.tzinfo for times in seen for time in times} == {ZoneInfo("Europe/Berlin")}


def test_looks_come_at_least_so_often(make: Callable[..., Beat]) -> None:
    assert make({"it": {**ADD, "schedule": HOUR}}, beat_max_loop_interval=5).run_once() == pytest.approx(5, abs=0.5)
    assert make({"it": {**ADD, "schedule": HOUR}}, beat_max_loop_interval=900).run_once() == pytest.approx(60, abs=0.5)


# ---------------------------------------------------------------- what is sent


def test_the_call(make: Callable[..., Beat], conn: psycopg.Connection) -> None:
    count = iter(range(10))
    beat = make(
        {
            "lazy": {
                "task": "shop.unknown",
                "schedule": 0,
                "args": (BeatLazyFunc(lambda: next(count)),),
                "kwargs": {"y": BeatLazyFunc(max, 3, 4)},
                "options": {"queue": "q", "headers": {"mine": 1}, "priority": 5},
            }
        }
    )
    beat.run_once()
    beat.run_once()
    found = conn.execute("SELECT queue_name, args FROM procrastinate_jobs ORDER BY id").fetchall()
    assert [(queue, told["args"], told["kwargs"]) for queue, told in found] == [
        ("q", [0], {"y": 4}),
        ("q", [1], {"y": 4}),
    ]
    assert {str(told["headers"]) for _, told in found} == {str({"mine": 1, "celery_beat_task": True})}
    assert beat.app.conf.beat_schedule["lazy"]["options"]["headers"] == {"mine": 1}


def test_a_workflow_is_sent_too(database_url: str, conn: psycopg.Connection) -> None:
    app = made(database_url)
    add = app.tasks["shop.add"]
    app.add_periodic_task(0, chain(add.s(1), add.s(2)))
    app.add_periodic_task(0, group(add.s(3), add.s(4)))
    beat_of(app).run_once()
    app.close()
    assert sorted(calls(conn)) == [("shop.add", 1), ("shop.add", 3), ("shop.add", 4)]


def test_what_cannot_be_sent_counts_as_sent_and_keeps_nobody(
    make: Callable[..., Beat], conn: psycopg.Connection, caplog: Any
) -> None:
    def fails() -> None:
        raise psycopg.OperationalError("a database of mine")

    beat = make(
        {
            "arguments": {"task": "shop.add", "schedule": 0, "args": (1, 2, 3)},
            "lazy": {"task": "shop.add", "schedule": 0, "args": (BeatLazyFunc(fails),)},
            "json": {"task": "shop.add", "schedule": 0, "args": (object(),)},
            "fine": {**ADD, "schedule": 0},
        }
    )
    beat.run_once()
    assert calls(conn) == [("shop.add", 1)]
    found = rows(conn)
    assert {row["total_run_count"] for row in found.values()} == {1}
    assert found["fine"]["last_error"] is None
    assert found["arguments"]["last_error"] == (
        "Couldn't apply scheduled task arguments: add() takes from 1 to 2 positional arguments but 3 were given"
    )
    assert found["lazy"]["last_error"].endswith("a database of mine")
    assert found["json"]["last_error"]
    assert "beat: Couldn't apply scheduled task json" in caplog.text


# ---------------------------------------------------------------- beside others


def test_each_due_time_has_one_call_however_many_run(
    make: Callable[..., Beat], conn: psycopg.Connection, caplog: Any
) -> None:
    entries = {f"every {n}": {"task": "shop.add", "args": (n,), "schedule": 0.05 * (n + 1)} for n in range(3)}
    published: list[str] = []

    def publish(sender: str, **_: Any) -> None:
        published.append(sender)

    signals.before_task_publish.connect(publish)
    beats = [make(entries) for _ in range(4)]
    threads = [threading.Thread(target=beat.run) for beat in beats]
    for thread in threads:
        thread.start()
    time.sleep(2)
    for beat in beats:
        beat.stop()
    for thread in threads:
        thread.join()
    signals.before_task_publish.disconnect(publish)
    sent = calls(conn)
    for n in range(3):
        count = sent.count(("shop.add", n))
        assert count == rows(conn)[f"every {n}"]["total_run_count"]
        assert 2 <= count <= 2 / (0.05 * (n + 1)) + 1
    assert caplog.text == ""
    assert len(sent) >= 20


def test_connections_that_are_cut_lose_nothing_and_double_nothing(
    make: Callable[..., Beat], conn: psycopg.Connection
) -> None:
    beat = make({f"it {n}": {"task": "shop.add", "args": (n,), "schedule": 0} for n in range(3)})
    thread = threading.Thread(target=beat.run)
    thread.start()
    for _ in range(30):
        time.sleep(0.03)
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    cut = len(calls(conn))
    time.sleep(1.5)
    beat.stop()
    thread.join()
    sent = calls(conn)
    assert len(sent) > cut
    for n in range(3):
        assert sent.count(("shop.add", n)) == rows(conn)[f"it {n}"]["total_run_count"] > 0


def test_a_database_that_was_never_migrated(empty_database_url: str) -> None:
    app = made(empty_database_url, {"it": {**ADD, "schedule": 0}})
    with pytest.raises(SchemaMissing):
        beat_of(app).run()
    app.close()


def test_who_looks_at_what_another_has_sent_sends_nothing(make: Callable[..., Beat], conn: psycopg.Connection) -> None:
    entries = {"it": {**ADD, "schedule": HOUR}}
    one, other = make(entries), make(entries)
    one.run_once()
    later(conn, HOUR)
    read = other._read
    found = read()  # before the first sends it
    other._read = lambda: found  # type: ignore[method-assign]
    one.run_once()
    assert other.run_once() == pytest.approx(0.2, abs=0.1)
    other._read = read  # type: ignore[method-assign]
    assert other.run_once() > 50
    assert len(calls(conn)) == 1


def test_who_started_later_has_its_way(make: Callable[..., Beat], conn: psycopg.Connection, caplog: Any) -> None:
    old = make({"it": {**ADD, "schedule": 0}, "old": {"task": "shop.add", "args": (5,), "schedule": HOUR}})
    old.run_once()
    new = make({"it": {"task": "shop.add", "args": (2,), "schedule": 0}})
    new.run_once()
    old.run_once()
    old.run_once()
    new.run_once()
    assert calls(conn) == [("shop.add", 1), ("shop.add", 2), ("shop.add", 2)]
    assert caplog.text.count("it is not sent from here: who started later declares it otherwise") == 1
    later(conn, 200)  # the new one is gone
    old.run_once()
    assert calls(conn)[3:] == [("shop.add", 1)]


def test_entries_of_a_release_that_still_runs_are_kept(make: Callable[..., Beat], conn: psycopg.Connection) -> None:
    old = make({"old": {**ADD, "schedule": 4 * HOUR}})
    old.run_once()
    later(conn, 50 * 60)
    new = make({})
    new.run_once()
    assert list(rows(conn)) == ["old"]
    old._touched = -1e9
    old.run_once()
    later(conn, 50 * 60)
    new._touched = -1e9
    new.run_once()
    assert list(rows(conn)) == ["old"]


def test_apps_have_entries_of_their_own(database_url: str, conn: psycopg.Connection) -> None:
    for name in ("shop", "billing"):
        app = Celery(name, broker=database_url, set_as_current=False, result_expires=None)
        app.conf.beat_schedule = {"it": {"task": f"{name}.it", "schedule": 0}}
        beat_of(app).run_once()
        app.close()
    assert sorted(calls(conn)) == [("billing.it",), ("shop.it",)]


def test_a_row_that_is_deleted_is_made_again(make: Callable[..., Beat], conn: psycopg.Connection) -> None:
    beat = make({"it": {**ADD, "schedule": HOUR}})
    beat.run_once()
    conn.execute("DELETE FROM workrow.celery_beat")
    beat.run_once()
    assert rows(conn)["it"]["next_run_at"] is not None


@pytest.mark.parametrize("how", ["UPDATE workrow.celery_beat SET task = task WHERE name = 'held'", "insert"])
def test_an_open_transaction_holds_up_its_own_entry_and_no_other(
    make: Callable[..., Beat], conn: psycopg.Connection, database_url: str, how: str
) -> None:
    entries = {"free": {**ADD, "schedule": 0}, "held": {"task": "shop.add", "args": (2,), "schedule": 0}}
    beat = make(entries)
    if how == "insert":
        how = (
            "INSERT INTO workrow.celery_beat (app, name, task, schedule, version, last_run_at, declared_at) "
            "VALUES ('shop', 'held', 'x', 'x', 'x', now(), now())"
        )
    else:
        beat.run_once()
    before = len(calls(conn))
    with psycopg.connect(database_url) as service:
        service.execute(how.encode())
        began = time.monotonic()
        beat.run_once()
        beat.run_once()
        assert time.monotonic() - began < 1
        assert calls(conn)[before:] == [("shop.add", 1), ("shop.add", 1)]
        service.rollback()
    beat.run_once()
    assert ("shop.add", 2) in calls(conn)[before:]


def test_a_locked_table_of_jobs_is_waited_for_by_nobody_for_long(
    make: Callable[..., Beat], conn: psycopg.Connection, database_url: str
) -> None:
    beat = make({f"it {n}": {**ADD, "schedule": HOUR} for n in range(20)})
    beat.run_once()
    later(conn, HOUR)
    with psycopg.connect(database_url) as service:
        service.execute("LOCK TABLE procrastinate_jobs IN SHARE MODE")
        beat.run_once()
        began = time.monotonic()
        assert 0.5 < beat.run_once() <= 1
        assert time.monotonic() - began < 1
    beat.run_once()
    assert len(calls(conn)) == 20


def test_a_relative_interval(make: Callable[..., Beat], conn: psycopg.Connection) -> None:
    beat = make({"it": {**ADD, "schedule": HOUR, "relative": True}, "own": {**ADD, "schedule": schedule(HOUR)}})
    beat.run_once()
    found = rows(conn)
    assert (found["it"]["next_run_at"].minute, found["it"]["next_run_at"].second) == (0, 0)
    assert found["own"]["next_run_at"] - found["own"]["last_run_at"] == timedelta(hours=1)
