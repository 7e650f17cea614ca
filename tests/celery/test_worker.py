"""Calls through worker processes on a real database."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.celery import worker_app
from tests.celery.on_database import on
from tests.celery.worker_app import add as add_task
from tests.celery.worker_app import (
    again,
    catches,
    die,
    die_late,
    fail,
    fails_unheard,
    not_here,
    old_errback,
    says,
    sleep,
    xsum,
)
from workrow import Limit, Rate, sql
from workrow.celery import Celery, chain, chord, group, signals, using
from workrow.celery.exceptions import ChordError, EncodeError, TaskRevokedError
from workrow.celery.exceptions import TimeoutError as CeleryTimeout
from workrow.celery.foreign_errors import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from workrow.celery.result import AsyncResult
from workrow.errors import OptionError

REPOSITORY = Path(__file__).parents[2]
SECONDS = 30
"""A child process that is to import the app first takes some of them on a busy machine."""
add: Any = add_task


@pytest.fixture
def app(database_url: str) -> Iterator[Celery]:
    with on(worker_app.app, database_url) as app:
        yield app


@contextmanager
def worker(database_url: str, *words: str, module: str = "tests.celery.worker_app") -> Iterator[None]:
    """A worker by its command; it ends in order."""
    command = [sys.executable, "-m", "workrow.celery", "-A", module, "worker", "-c", "2", *words]
    process = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, "DATABASE_URL": database_url})
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0


def raised(call: Callable[[], Any]) -> BaseException:
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def until(found: Callable[[], bool]) -> None:
    late = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < late
        time.sleep(0.05)


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_calls_come_to_what_they_come_to_on_celery(app: Celery, database_url: str, pool: str) -> None:
    with worker(database_url, "-P", pool):
        assert add.delay(1, 2).get(timeout=SECONDS) == 3
        assert chain(add.s(1, 2), add.s(3)).apply_async().get(timeout=SECONDS) == 6
        assert chord([add.s(n, n) for n in range(20)], xsum.s()).apply_async().get(timeout=SECONDS) == 380
        assert again.delay(3).get(timeout=SECONDS) == 3
        assert not_here.delay().get(timeout=SECONDS) is True
        assert app.send_task("from_include").get(timeout=SECONDS) == "here"
        assert str(raised(lambda: fail.delay().get(timeout=SECONDS))) == "boom"
        assert sleep.apply_async((0.1,), countdown=0.2).get(timeout=SECONDS) == 0.1
        assert catches.delay().get(timeout=SECONDS) == "SoftTimeLimitExceeded()"
        assert isinstance(
            raised(lambda: sleep.apply_async((20,), soft_time_limit=0.5).get(timeout=SECONDS)), SoftTimeLimitExceeded
        )
        assert isinstance(
            raised(lambda: sleep.apply_async((20,), time_limit=1).get(timeout=SECONDS)), TimeLimitExceeded
        )
        assert str(raised(lambda: add.apply_async((1, 1), expires=-1).get(timeout=SECONDS))) == "expired"
        unheard = fails_unheard.delay()
        until(lambda: unheard.state == "FAILURE")
        reported = worker_app.progress.delay()
        until(lambda: reported.state == "PROGRESS")
        assert reported.info == {"done": 1}


def test_a_failed_header_gives_its_body_the_error_and_the_errbacks_as_children(app: Celery, database_url: str) -> None:
    with worker(database_url, "-P", "threads"):
        body = xsum.s().on_error(old_errback.s())
        result = chord([add.s(1, 1), fail.s()], body).apply_async()
        # with it, whoever looks when the header has failed already gets its error, in Celery too
        assert isinstance(raised(lambda: result.get(timeout=SECONDS, follow_parents=False)), ChordError)
        ((errbacks,),) = [each.results for each in result.children]
        assert errbacks.get(timeout=SECONDS) == result.id


def test_a_process_that_dies_is_told(app: Celery, database_url: str) -> None:
    with worker(database_url, "-P", "prefork"):
        error = raised(lambda: die.delay().get(timeout=SECONDS))
        assert isinstance(error, WorkerLostError)
        assert str(error).startswith("Worker exited prematurely: exitcode 3 Job: ")
        assert die_late.delay().get(timeout=SECONDS) is True


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_what_is_revoked_does_not_run_and_what_is_terminated_ends(app: Celery, database_url: str, pool: str) -> None:
    waiting = add.apply_async((1, 1), countdown=60)
    waiting.revoke()
    assert str(raised(lambda: waiting.get(timeout=1))) == "revoked"
    app.control.revoke("to-come")
    to_come = add.apply_async((1, 1), task_id="to-come")
    with worker(database_url, "-P", pool):
        assert isinstance(raised(lambda: to_come.get(timeout=SECONDS)), TaskRevokedError)
        running = sleep.apply_async((60,), task_id="runs")
        until(lambda: doing(database_url) == 1)
        running.revoke(terminate=True)
        assert str(raised(lambda: running.get(timeout=SECONDS))) == "terminated"
        assert add.delay(2, 2).get(timeout=SECONDS) == 4


def doing(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'").fetchone()
    assert row
    return int(row[0])


def test_a_chord_whose_header_waits_fires_when_a_member_is_revoked(app: Celery, database_url: str) -> None:
    members = [add.s(1, 1), add.s(2, 2).set(countdown=60, task_id="member")]
    result = chord(members, xsum.s()).apply_async()
    app.control.revoke("member")
    with worker(database_url, "-P", "solo"):
        body = app.AsyncResult(result.id)  # which knows no header that could raise
        assert isinstance(raised(lambda: body.get(timeout=SECONDS)), ChordError)


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_what_tasks_say_is_logged_with_their_names(app: Celery, database_url: str, pool: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with worker(database_url, "-P", pool, "-l", "INFO", "-f", str(log)):
        says.delay().get(timeout=SECONDS)
    told = log.read_text()
    assert re.search(r"^\[.*: INFO/\w+(-\S+)?\] says\[[0-9a-f-]{36}\]: by its logger$", told, re.MULTILINE), told
    assert re.search(r"^\[.*: WARNING/.*\] by print$", told, re.MULTILINE), told


def waiting(connection: "psycopg.Connection[Any]") -> int:
    row = connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
    assert row
    return int(row[0])


def test_a_canvas_is_sent_as_a_whole_or_not_at_all(app: Celery, conn: "psycopg.Connection[Any]") -> None:
    with pytest.raises(EncodeError):
        group(add.s(1, 1), add.s(object(), 1)).apply_async()
    assert waiting(conn) == 0
    chord([add.s(1, 1), add.s(2, 2)], xsum.s()).apply_async()
    assert len({row[0] for row in conn.execute("SELECT xmin FROM procrastinate_jobs").fetchall()}) == 1


def test_calls_in_a_transaction_are_of_it(app: Celery, database_url: str, conn: "psycopg.Connection[Any]") -> None:
    with psycopg.connect(database_url) as mine:
        with using(mine):
            group(add.s(1, 1), add.s(2, 2)).apply_async()
        assert waiting(conn) == 0
        mine.rollback()
        with using(mine):
            add.delay(1, 1)
    assert waiting(conn) == 1


def test_a_single_call_is_written_as_one_of_many(app: Celery, conn: "psycopg.Connection[Any]") -> None:
    app.control.revoke("revoked")
    eta = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    calls: list[dict[str, Any]] = [
        {}, {"queue": "other", "priority": 7}, {"eta": eta}, {"countdown": 3600}, {"task_id": "revoked"},
        {"expires": eta, "headers": {"a": [1, "b"]}, "link": add.s(1)},
    ]  # fmt: skip
    for options in calls:
        add.apply_async((1, "\u20ac"), **{"task_id": "one", **options})
    with app.together():
        for options in calls:
            add.apply_async((1, "\u20ac"), **{"task_id": "one", **options})
    rows = conn.execute(
        """SELECT queue_name, task_name, priority, args - 'eta', status, lock, args ? 'eta', scheduled_at
        FROM procrastinate_jobs ORDER BY id"""
    ).fetchall()
    alone, together = rows[: len(calls)], rows[len(calls) :]
    assert [row[:7] for row in alone] == [row[:7] for row in together]
    due = [(one[7], other[7]) for one, other in zip(alone, together, strict=True)]
    assert [at for at, _ in due if at is not None] == [eta, due[3][0]]
    assert [at for _, at in due if at is not None] == [eta, due[3][1]]
    assert abs(due[3][0] - due[3][1]).total_seconds() < 600
    assert alone[4][3]["revoked"] is True


def test_purge_deletes_what_waits(app: Celery, conn: "psycopg.Connection[Any]") -> None:
    add.apply_async((1, 1), queue="other")
    add.delay(1, 1)
    assert app.control.purge() == 1
    assert app.control.purge(["other"]) == 1
    assert waiting(conn) == 0


def claim(conn: "psycopg.Connection[Any]") -> dict[str, Any]:
    """A call that runs, and the parameters of its end."""
    worker_id = conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id").fetchone()
    job = conn.execute(
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s, claims = 1, started_at = now() RETURNING id",
        worker_id,
    ).fetchone()
    assert worker_id
    assert job
    sequel = {"results": [{"task_id": "t", "state": "SUCCESS", "value": 1}]}
    ends = {"ids": [job[0]], "tokens": [1], "statuses": ["succeeded"], "waited": [0.0], "lasted": [0.0]}
    nothing = dict.fromkeys(("results", "errors", "quarantines", "progresses"))
    return {**ends, **nothing, "worker": "w", "worker_id": worker_id[0], "sequels": json.dumps([sequel])}


def test_what_follows_is_fenced_as_the_end_is(app: Celery, conn: "psycopg.Connection[Any]") -> None:
    add.apply_async((1, 1), task_id="t")
    given = claim(conn)
    conn.execute(sql.load("finish_calls"), {**given, "tokens": [2]})
    assert app.AsyncResult("t").state == "PENDING"
    assert doing_in(conn) == 1
    conn.execute(sql.load("finish_calls"), given)
    assert app.AsyncResult("t").get(timeout=1) == 1
    assert doing_in(conn) == 0


def doing_in(conn: "psycopg.Connection[Any]") -> int:
    row = conn.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'").fetchone()
    assert row
    return int(row[0])


def test_an_open_transaction_that_holds_a_result_holds_nobody_else(app: Celery, database_url: str) -> None:
    with psycopg.connect(database_url) as other:
        other.execute("INSERT INTO workrow.celery_results (task_id, state) VALUES ('held', 'PENDING')")
        # sent before there is a worker, so that their ends are written in the same batches
        others = [add.delay(n, n) for n in range(20)]
        held = add.apply_async((1, 1), task_id="held")
        others += [add.delay(n, n) for n in range(20, 200)]
        with worker(database_url, "-P", "threads"):
            assert [each.get(timeout=SECONDS / 2) for each in others] == [2 * n for n in range(200)]
            assert held.state == "PENDING"
            other.rollback()
            assert held.get(timeout=SECONDS) == 2


def test_expired_results_are_deleted(app: Celery, conn: "psycopg.Connection[Any]") -> None:
    for task_id, lasts in (("old", -1), ("new", 60)):
        told = {"results": [{"task_id": task_id, "state": "SUCCESS", "value": 1, "lasts": lasts}]}
        app.store.write(told)
    app.backend.cleanup()
    assert conn.execute("SELECT task_id FROM workrow.celery_results").fetchall() == [("new",)]


def test_rate_limits_that_are_switched_off(app: Celery, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for calls that were sent by who does not know."""
    monkeypatch.setenv("CONF", json.dumps({"worker_disable_rate_limits": True}))
    calls = [worker_app.rarely.delay(n) for n in range(4)]
    with worker(database_url, "-P", "threads"):
        assert [each.get(timeout=SECONDS) for each in calls] == [0, 1, 2, 3]


def test_a_stopping_worker_gives_back_what_does_not_end_in_time(
    app: Celery, database_url: str, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONF", json.dumps({"worker_soft_shutdown_timeout": 0.3}))
    with worker(database_url):
        call = sleep.delay(600)
        until(lambda: conn.execute("SELECT FROM procrastinate_jobs WHERE status = 'doing'").rowcount == 1)
    assert conn.execute("SELECT status, args ->> 'id' FROM procrastinate_jobs").fetchall() == [("todo", call.id)]


@pytest.mark.parametrize(
    "words", [("tests.celery.worker_entry:app",), ("tests.celery.worker_app", "-I", "tests.celery.worker_entry")]
)
def test_child_processes_import_what_the_command_names(app: Celery, database_url: str, words: tuple[str, ...]) -> None:
    with worker(database_url, *words[1:], module=words[0]):
        assert app.send_task("entered").get(timeout=SECONDS) == ["entered"]
        lost = app.send_task("only_here", queue="celery")
        assert isinstance(raised(lambda: lost.get(timeout=SECONDS)), WorkerLostError), "it ends"
    if not words[1:]:
        with psycopg.connect(database_url) as connection:
            rows = connection.execute("SELECT status FROM workrow.jobs WHERE task = 'from_ready'").fetchall()
            assert rows == [("succeeded",)]


def test_a_result_is_told_in_whatever_queue_its_call_was(app: Celery, database_url: str) -> None:
    with worker(database_url, "-Q", "other", "-I", "tests.celery.worker_entry"):
        lost = app.send_task("only_here", queue="other")
        assert isinstance(raised(lambda: lost.get(timeout=SECONDS)), WorkerLostError)


def test_names_that_no_row_can_have(app: Celery) -> None:
    for call in (
        lambda: add.apply_async((1, 2), queue="q" * 129),
        lambda: app.send_task("t" * 129),
        lambda: app.send_task("t\0"),
        lambda: add.apply_async((1, 2), task_id="a\0b"),
    ):
        assert re.search("at most 128 fit|NUL", str(raised(call)))
    assert app.AsyncResult("a\0b").state == "PENDING"


def test_limits_of_the_door(database_url: str) -> None:
    app = Celery("limited", broker=database_url, set_as_current=False)

    @app.task(name="export", limits=[Limit(2, key="customer"), Rate("100/m")], queue="exports")
    def export(customer: int, much: int = 1) -> None: ...

    export.delay(7)
    export.delay(customer=8)
    export.apply_async((9,), queue="more")
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT line FROM procrastinate_jobs ORDER BY id").fetchall()
    assert [json.loads(line) for (line,) in rows] == [
        ["exports", "export", "export/customer=7", "export"],
        ["exports", "export", "export/customer=8", "export"],
        ["more", "export", "export/customer=9", "export"],
    ]
    with pytest.raises(OptionError, match="key names no argument"):
        app.task(name="wrong", limits=Limit(1, key="nothing"))(lambda: None).delay()
    app.close()


def test_classes_of_results_are_the_apps(app: Celery) -> None:
    saved = app.GroupResult("group", [app.AsyncResult("one")]).save()
    assert app.GroupResult.restore("group") == saved
    assert isinstance(app.AsyncResult("one"), app.AsyncResult)
    assert isinstance(app.AsyncResult("one"), AsyncResult)


def test_publishing_signals_have_what_a_message_has(app: Celery, database_url: str) -> None:
    told: dict[str, Any] = {}

    @signals.before_task_publish.connect(weak=False)
    def note(sender: str, headers: dict[str, Any], body: Any, **more: Any) -> None:
        told.update(headers=headers, body=body)

    try:
        add.apply_async((1,), {"y": 2}, countdown=5, shadow="s", time_limit=4, link=add.s(1))
    finally:
        signals.before_task_publish.disconnect(note)
    assert told["body"][:2] == ((1,), {"y": 2})
    assert told["body"][2]["callbacks"][0]["task"] == "add"
    expected = {"argsrepr": "(1,)", "kwargsrepr": "{'y': 2}", "expires": None, "group": None, "group_index": None}
    expected |= {"shadow": "s", "timelimit": [4, None], "stamps": {}, "retries": 0, "parent_id": None}
    assert {key: told["headers"][key] for key in expected} == expected
    assert told["headers"]["eta"] is not None


def test_who_waits_for_the_end_of_a_chain_hears_of_what_ends_before(app: Celery) -> None:
    last = chain(add.s(1, 2).set(countdown=3600), add.s(1)).apply_async()
    timer = threading.Timer(0.3, last.parent.revoke)
    timer.start()
    assert isinstance(raised(lambda: last.get(timeout=SECONDS)), TaskRevokedError)
    timer.join()


def test_what_children_are_told_is_nobodys_setting(app: Celery, database_url: str) -> None:
    """An application may take all that begins with WORKROW_ for its own, and refuse what it does not know."""
    with worker(database_url, "-P", "prefork"):
        names = app.send_task("environment").get(timeout=SECONDS)
    assert [name for name in names if "CELERY" in name]
    assert not [name for name in names if name.startswith("WORKROW_CELERY")]


def test_who_waits_for_long_looks_less_often(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: 1000 + sum(pauses))
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(CeleryTimeout):
        AsyncResult("never", app=app).get(timeout=60)
    assert (len(pauses) < 260, max(pauses[:20]) <= 0.05, sum(pauses)) == (True, True, pytest.approx(60))
    assert max(pauses) <= 0.02 * 60
    pauses.clear()
    with pytest.raises(CeleryTimeout):
        AsyncResult("never", app=app).get(timeout=5, interval=0.02)
    assert max(pauses) <= 0.02


def test_children_die_with_a_worker_that_is_killed(app: Celery, database_url: str) -> None:
    """So that no call goes on when another worker has it."""
    command = [sys.executable, "-m", "workrow.celery", "-A", "tests.celery.worker_app", "worker", "-c", "2", "-B"]
    process = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, "DATABASE_URL": database_url})
    sleep.delay(600)
    try:
        until(lambda: any((app.control.inspect(timeout=1).active() or {}).values()))
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
    finally:
        process.kill()
        process.wait()
    began = time.monotonic()
    until(lambda: all(not each.is_running() or each.status() == psutil.STATUS_ZOMBIE for each in children))
    assert time.monotonic() - began < 10, "the call sleeps for ten minutes"
