"""What workers are told and asked, through worker processes on a real database."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.celery import worker_app
from tests.celery.on_database import on
from tests.celery.test_worker import REPOSITORY, SECONDS, until
from tests.celery.worker_app import add as add_task
from tests.celery.worker_app import sleep as sleep_task
from workrow.celery import Celery
from workrow.celery.exceptions import TaskRevokedError
from workrow.celery.foreign_errors import SoftTimeLimitExceeded

add: Any = add_task
sleep: Any = sleep_task
TOLD: dict[str, Any] = {"reply": True, "timeout": SECONDS}


@pytest.fixture
def app(database_url: str) -> Iterator[Celery]:
    with on(worker_app.app, database_url) as app:
        yield app


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "workrow.celery", "-A", "tests.celery.worker_app", *words]


@contextmanager
def worker(app: Celery, name: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that replies; it ends in order."""
    process = subprocess.Popen(command("worker", "-n", name, "-c", "2", *words), cwd=REPOSITORY, env=os.environ)
    try:
        until(lambda: bool(app.control.inspect([name], timeout=1).ping()))
        yield process
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0


def asked(app: Celery, what: str, *args: Any) -> Any:
    return getattr(app.control.inspect("one@here", timeout=SECONDS), what)(*args)


def ok(said: str) -> list[dict[str, Any]]:
    return [{"one@here": {"ok": said}}]


def wrong(said: str) -> list[dict[str, Any]]:
    return [{"one@here": {"error": said}}]


def test_a_worker_is_told_and_asked(app: Celery) -> None:
    control = app.control
    with worker(app, "one@here", "-P", "threads"):
        assert control.ping() == ok("pong")
        assert asked(app, "active") == asked(app, "scheduled") == asked(app, "reserved") == asked(app, "revoked") == []
        assert {"add", "sleep"} <= set(asked(app, "registered"))
        assert not [name for name in asked(app, "registered") if name.startswith("celery.")]
        assert asked(app, "conf")["task_acks_late"] is False
        assert "workrow" in asked(app, "report")["ok"]

        # time limits
        assert control.time_limit("sleep", soft=0.3, **TOLD) == ok("time limits set successfully")
        with pytest.raises(SoftTimeLimitExceeded):
            sleep.delay(20).get(timeout=SECONDS)
        assert control.time_limit("sleep", **TOLD) == ok("time limits set successfully")
        assert control.time_limit("nothing", **TOLD) == wrong("unknown task")

        # rates: of this worker, for the task declares none
        assert control.rate_limit("add", "4/s", **TOLD) == ok("new rate limit set successfully")
        began = time.monotonic()
        assert [each.get(timeout=SECONDS) for each in [add.delay(n, 1) for n in range(5)]] == [1, 2, 3, 4, 5]
        assert time.monotonic() - began > 0.8, "the fifth call has its turn a second after the first"
        assert asked(app, "registered", "rate_limit").count("add [rate_limit=4/s]") == 1
        assert control.rate_limit("add", 0, **TOLD) == ok("rate limit disabled successfully")
        assert control.rate_limit("nothing", "4/s", **TOLD) == wrong("unknown task")
        assert "'4/x': must be" in control.rate_limit("add", "4/x", **TOLD)[0]["one@here"]["error"]
        assert control.rate_limit("limited", "1/h", **TOLD) == ok("new rate limit set successfully")

        for task in ("kept", "kept_apart"):
            assert app.control.rate_limit(task, "10/s", **TOLD) == ok("new rate limit set successfully")
            assert app.send_task(task, ("ann",)).get(timeout=SECONDS) == "ann"
        with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
            rules = connection.execute(
                "SELECT name, max_running, rate_count FROM workrow.limit_rules WHERE name LIKE 'kept%' ORDER BY name"
            ).fetchall()
        assert rules == [("kept", 3, 10), ("kept/who", 1, None), ("kept_apart/who", 1, None)]

        # queues
        assert control.add_consumer("extra", **TOLD) == ok("add consumer extra")
        assert [each["name"] for each in asked(app, "active_queues")] == ["celery", "extra"]
        assert add.apply_async((1, 2), queue="extra").get(timeout=SECONDS) == 3
        assert control.cancel_consumer("extra", **TOLD) == ok("no longer consuming from extra")
        assert [each["name"] for each in asked(app, "active_queues")] == ["celery"]
        left = add.apply_async((1, 2), queue="extra")
        assert add.delay(1, 2).get(timeout=SECONDS) == 3
        time.sleep(0.3)
        assert left.state == "PENDING"

        # what is not here says so, and a command that fails does no harm
        assert control.broadcast("pool_restart", **TOLD) == wrong("ValueError('Pool restarts not enabled')")
        assert control.broadcast("autoscale", {"max": 1}, **TOLD) == wrong("ValueError('Autoscale not enabled')")
        assert control.broadcast("no_such", **TOLD) == wrong("KeyError('no_such')")
        assert control.broadcast("said", word="hello", **TOLD) == ok("one@here: hello")


def test_calls_are_seen_where_they_are(app: Celery) -> None:
    with worker(app, "one@here", "-P", "threads"):
        later = add.apply_async((1,), {"y": 2}, countdown=3600)
        calls = [sleep.delay(60) for _ in range(4)]
        until(lambda: len(asked(app, "active")) == 2)
        (first, second) = asked(app, "active")
        assert (first["name"], first["args"], first["hostname"]) == ("sleep", [60], "one@here")
        assert first["time_start"] <= time.time()
        waiting = asked(app, "reserved")
        assert {each["id"] for each in [first, second, *waiting]} == {each.id for each in calls}
        (scheduled,) = asked(app, "scheduled")
        assert (scheduled["request"]["id"], scheduled["request"]["kwargs"]) == (later.id, {"y": 2})
        told = asked(app, "query_task", first["id"], waiting[0]["id"], later.id, "nothing")
        assert {task_id: each[0] for task_id, each in told.items()} == {
            first["id"]: "active",
            waiting[0]["id"]: "reserved",
            later.id: "scheduled",
        }
        assert asked(app, "stats")["total"] == {"sleep": 2}

        assert asked(app, "revoked") == []
        assert app.control.revoke(later.id, **TOLD) == ok(f"tasks {{{later.id!r}}} flagged as revoked")
        assert asked(app, "revoked") == [later.id]
        with pytest.raises(TaskRevokedError):
            later.get(timeout=SECONDS)
        ids = [each.id for each in calls]
        (said,) = app.control.terminate(ids, **TOLD)
        assert said["one@here"]["ok"] == f"terminate: {', '.join(ids)}"
        for each in calls:
            with pytest.raises(TaskRevokedError):
                each.get(timeout=SECONDS)


def test_a_pool_grows_and_shrinks(app: Celery) -> None:
    with worker(app, "one@here", "-P", "prefork"):
        assert app.control.pool_grow(1, **TOLD) == ok("pool will grow")
        calls = [sleep.delay(3) for _ in range(3)]
        until(lambda: len(asked(app, "active")) == len(asked(app, "stats")["pool"]["processes"]) == 3)
        pool = asked(app, "stats")["pool"]
        assert pool["max-concurrency"] == 3
        assert sorted(each["worker_pid"] for each in asked(app, "active")) == pool["processes"]
        assert [each.get(timeout=SECONDS) for each in calls] == [3, 3, 3]
        assert app.control.pool_shrink(2, **TOLD) == ok("pool will shrink")
        until(lambda: len(asked(app, "stats")["pool"]["processes"]) == 1)
        calls = [sleep.delay(0.5) for _ in range(2)]
        until(lambda: calls[0].ready() or calls[1].ready())
        assert not (calls[0].ready() and calls[1].ready())
        assert "cannot shrink by 1" in app.control.pool_shrink(1, **TOLD)[0]["one@here"]["error"]
        assert [each.get(timeout=SECONDS) for each in calls] == [0.5, 0.5]


def test_only_those_are_told_who_are_meant(app: Celery, database_url: str) -> None:
    app.control.add_consumer("before")  # nobody is there, and who comes later is not meant
    with worker(app, "one@here", "-P", "solo"), worker(app, "two@here", "-P", "threads") as two:
        both = {"one@here": {"ok": "pong"}, "two@here": {"ok": "pong"}}
        assert app.control.inspect(timeout=SECONDS).ping() == both
        assert app.control.ping(["two@here"], timeout=SECONDS) == [{"two@here": {"ok": "pong"}}]
        assert app.control.inspect(["nobody@here"], timeout=SECONDS).ping() is None
        assert list(app.control.inspect(pattern="t*", matcher="glob", timeout=SECONDS).ping()) == ["two@here"]
        assert list(app.control.inspect(pattern="(o|x)ne", matcher="pcre", timeout=SECONDS).ping()) == ["one@here"]
        heard: list[dict[str, Any]] = []
        assert len(app.control.ping(timeout=SECONDS, limit=1, callback=heard.append) or []) == 1
        assert heard
        assert app.control.inspect("two@here", timeout=SECONDS).active_queues()[0]["name"] == "celery"
        with pytest.raises(ValueError, match="destination must be"):
            app.control.ping("two@here")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="matcher='x'"):
            app.control.ping(pattern="t", matcher="x")
        assert "solo" in app.control.pool_grow(destination=["one@here"], **TOLD)[0]["one@here"]["error"]

        # a reply that is lost is said again, and nothing is done twice
        app.control.pool_grow(1, destination=["two@here"], **TOLD)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DELETE FROM workrow.celery_replies")
            app.control.ping(timeout=SECONDS)
            until(lambda: len(connection.execute("SELECT FROM workrow.celery_replies").fetchall()) > 10)
        assert app.control.inspect("two@here", timeout=SECONDS).stats()["pool"]["max-concurrency"] == 3

        assert app.control.shutdown(["two@here"], **TOLD) == [{"two@here": {"ok": "shutting down"}}]
        assert two.wait(SECONDS) == 0
        assert app.control.inspect(timeout=SECONDS).ping() == {"one@here": {"ok": "pong"}}


def said(*words: str, code: int = 0) -> str:
    done = subprocess.run(command(*words), cwd=REPOSITORY, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_the_command_line(app: Celery) -> None:
    assert "No nodes replied" in said("status", code=69)
    waits = add.apply_async((1, 2), countdown=3600)
    assert "No nodes replied" in said("control", "revoke", waits.id, code=69)
    assert waits.state == "REVOKED", "worker or none"
    with pytest.raises(ValueError, match="signal='BOGUS'"):
        app.control.revoke(waits.id, terminate=True, signal="BOGUS")
    assert "no queue is left to serve" in said("worker", "-Q", "a,b", "-X", "b,a", code=1)
    with worker(app, "one@here", "-P", "threads"):
        assert said("status").splitlines() == ["->  one@here: OK", "", "1 node online."]
        assert said("-q", "status").splitlines() == ["->  one@here: OK"]
        assert json.loads(said("inspect", "ping", "--json")) == {"one@here": {"ok": "pong"}}
        assert "    * add [name=add]" in said("inspect", "registered", "name").splitlines()
        assert "new rate limit set" in said("control", "rate_limit", "add", "10/m")
        assert "add consumer more" in said("control", "-d", "one@here", "add_consumer", "more")
        assert "n='x'" in said("control", "pool_grow", "x", code=2)
        assert "takes arguments: [N=1]" in said("control", "pool_grow", "1", "2", code=2)
        assert "not recognized. Available inspect commands: active, " in said("inspect", "revoke", code=2)
    assert "add_consumer <queue>" in said("control", "--list")
    assert "query_task [id1" in said("inspect", "--list")
