"""The bridge from Celery, as far as neither Celery nor Redis is needed."""

import asyncio
import json
import multiprocessing
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

from workrow.celery import Celery, bridge
from workrow.celery.bridge import shadow
from workrow.celery.bridge.dials import OLD_SECONDS, Dial, Dials, place
from workrow.celery.bridge.messages import Unmovable, call_of
from workrow.celery.bridge.moves import Moves, NotMoved
from workrow.celery.bridge.reading import Theirs
from workrow.celery.bridge.rollback import NotRolledBack, roll_back_with, rolled_back
from workrow.celery.bridge.transport import Transport
from workrow.celery.commands import main
from workrow.celery.exceptions import ImproperlyConfigured
from workrow.celery.message import request_of
from workrow.celery.outbox import Outbox
from workrow.celery.registry import shared_tasks

HEADERS = {"task": "shop.add", "id": "one", "lang": "py", "timelimit": [None, None], "retries": 0, "root_id": "one"}


@pytest.fixture(autouse=True)
def only_ours() -> Iterator[None]:
    """Modules of other tests in this process have shared tasks, which every app has."""
    theirs = [*shared_tasks]
    shared_tasks.clear()
    yield
    shared_tasks[:] = theirs


@pytest.fixture
def app(database_url: str) -> Iterator[Celery]:
    app = Celery("bridged", broker=database_url)
    yield app
    app.close()


def run(app: Celery, database_url: str, *words: str) -> str:
    done = CliRunner().invoke(main, ["-b", database_url, *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


# -------------------------------------------------------------------- dials


def test_dials_are_set_and_read(app: Celery, database_url: str) -> None:
    assert run(app, database_url, "bridge", "list") == "no dial is set: all calls go to the old broker\n"
    run(app, database_url, "bridge", "dial", "*", "10")
    run(app, database_url, "bridge", "dial", "a", "50", "--by", "user")
    run(app, database_url, "bridge", "shadow", "b", "5")
    dials = Dials(Moves(app.store).dials)
    assert dials.of("a") == Dial(50, "user", 0)
    assert dials.of("b") == Dial(10, None, 5), "what a task does not say is said by *"
    assert dials.of("other") == Dial(10, None, 0)
    run(app, database_url, "bridge", "dial", "a", "60")
    assert Dials(Moves(app.store).dials).of("a") == Dial(60, "user", 0), "sticky as before"
    run(app, database_url, "bridge", "dial", "a", "60", "--by", "")
    assert Dials(Moves(app.store).dials).of("a") == Dial(60, None, 0)
    run(app, database_url, "bridge", "off")
    assert Dials(Moves(app.store).dials).of("a") == Dial(0, None, 0)
    assert Dials(Moves(app.store).dials).of("b").shadow == 5
    assert "the bridge is off" in run(app, database_url, "bridge", "list")
    run(app, database_url, "bridge", "on")
    assert Dials(Moves(app.store).dials).of("a").percent == 60


def test_a_dial_is_kept_for_two_seconds_and_an_outage_is_no_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("workrow.celery.bridge.dials.time.monotonic", lambda: now[0])
    rows: list[Any] = [("*", 10.0, None, None, True, None)]
    asked: list[float] = []

    def read() -> list[Any]:
        asked.append(now[0])
        if not rows:
            raise OSError("no route")
        return rows

    dials = Dials(read)
    assert [dials.of("a").percent, dials.of("b").percent] == [10, 10]
    rows[0] = ("*", 90.0, None, None, True, None)
    now[0] += OLD_SECONDS - 0.01
    assert dials.of("a").percent == 10
    now[0] += 0.02
    assert dials.of("a").percent == 90
    rows.clear()
    now[0] += OLD_SECONDS
    assert dials.of("a").percent == 0
    now[0] += OLD_SECONDS
    assert dials.of("a").percent == 0
    assert len(asked) == 3, "during an outage nobody asks for a while"


@pytest.mark.parametrize("words", [("dial", "a", "101"), ("dial", "a", "-1"), ("shadow", "a", "x"), ("dial", "a")])
def test_a_percentage_is_one(words: tuple[str, ...], database_url: str) -> None:
    done = CliRunner().invoke(main, ["-b", database_url, "bridge", *words])
    assert done.exit_code == 2
    assert "PERCENT" in done.output


def test_a_slip_in_the_name_of_a_task_is_told(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    for name, words in (("ad", "did you mean add?"), ("nothing", "it has add, again")):
        done = CliRunner().invoke(main, ["-A", "tests.celery.worker_app", "bridge", "dial", name, "1"])
        assert done.exit_code == 2
        assert f"{name}: no task of the app; {words}" in done.output
    done = CliRunner().invoke(main, ["-b", database_url, "bridge", "dial", "ad", "1"])
    assert done.exit_code == 0
    assert "whether there is a task ad is not known here: -A MODULE" in done.output


@given(st.integers() | st.text() | st.tuples(st.integers(), st.text()))
def test_a_key_has_its_place(key: Any) -> None:
    assert 0 <= place(key) < 100
    assert place(key) == place(key)


def test_places_are_spread() -> None:
    assert 900 < sum(place(n) < 10 for n in range(10_000)) < 1100
    code = "from workrow.celery.bridge.dials import place; print(place(('user', 7)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == place(("user", 7)), "the same in every process"


# -------------------------------------------------------------------- moves


def jobs(conn: psycopg.Connection) -> list[Any]:
    conn.rollback()
    return [row[0] for row in conn.execute("SELECT task_name FROM procrastinate_jobs ORDER BY id")]


def call(task: str) -> dict[str, Any]:
    return {"calls": [{"task": task, "queue": "q", "priority": 0, "args": {"id": task, "args": [], "kwargs": {}}}]}


def test_a_key_moves_once(app: Celery, conn: psycopg.Connection) -> None:
    moves = json.dumps([{"key": key, "task": "t", "effects": call(f"t{n}")} for n, key in enumerate("abca")])
    assert sorted(app.store.run("celery_move", moves=moves, came="drain")[0][0]) == ["a", "b", "c"]
    assert jobs(conn) == ["t0", "t1", "t2"]
    assert app.store.run("celery_move", moves=moves, came="drain")[0][0] == []
    assert len(jobs(conn)) == 3


def test_who_cannot_reach_the_database_has_not_moved() -> None:
    app = Celery("nowhere", broker="postgresql://nobody@127.0.0.1:1/nothing", set_as_current=False)
    with pytest.raises(NotMoved):
        Moves(app.store).write("t", call("t"))
    app.close()


def test_what_the_database_refuses_has_not_moved(app: Celery, conn: psycopg.Connection) -> None:
    with pytest.raises(NotMoved):
        Moves(app.store).write("t", {"calls": [{"task": "t", "queue": None, "args": {"id": "1"}}]})
    assert jobs(conn) == []


class Way:
    """A way to the database that is cut once, when a transaction commits.

    Args:
        url: of the database, on a Unix socket.
        folder: for the socket of the way.
        before: the server does not know of the commit; otherwise its answer is lost.
    """

    def __init__(self, url: str, folder: Path, before: bool) -> None:
        given = conninfo_to_dict(url)
        self._server = f"{given['host']}/.s.PGSQL.{given.get('port') or 5432}"
        self._before = before
        self.is_cut = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self.url = f"postgresql:///{given['dbname']}?host={quote(str(folder), safe='')}&user={given['user']}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._server)
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is server:
                        client.sendall(data)
                    elif b"COMMIT" in data and not self.is_cut:
                        self.is_cut = True
                        if not self._before:
                            server.sendall(data)
                            server.recv(65536)
                        return
                    else:
                        server.sendall(data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.mark.parametrize("before", [True, False], ids=["before the server knows", "after"])
def test_a_connection_that_is_lost_at_commit_leaves_no_doubt(
    database_url: str, conn: psycopg.Connection, tmp_path: Path, before: bool
) -> None:
    way = Way(database_url, tmp_path, before)
    app = Celery("cut", broker=way.url, set_as_current=False)
    if before:
        with pytest.raises(NotMoved):
            Moves(app.store).write("t", call("t"))
    else:
        Moves(app.store).write("t", call("t"))
    app.close()
    way.close()
    assert way.is_cut
    assert jobs(conn) == ([] if before else ["t"])
    assert conn.execute("SELECT came FROM workrow.celery_bridge_moves").fetchall() == [("old" if before else "dial",)]


# -------------------------------------------------------------------- messages


def test_a_message_of_protocol_2_is_a_call() -> None:
    headers = {
        **HEADERS, "eta": "2030-01-01T00:00:00", "expires": "2030-01-02T00:00:00+01:00", "group": "g", "mine": {"b": 1},
        "group_index": 3, "timelimit": [9, 5], "stamped_headers": ["s"], "stamps": {"s": ["x"]}, "shadow": None,
        "ignore_result": True, "argsrepr": "(1,)",
    }  # fmt: skip
    body = json.dumps([[1, {"zz": 1, "a": "\0"}], {"k": None}, {"callbacks": [{"task": "t"}], "chain": None}])
    properties = {"priority": 6, "correlation_id": "one", "reply_to": "r", "delivery_tag": "d", "mine": 1}
    found = call_of(headers, body, properties, "orders", "application/json", ("", "10/m"))
    assert found["task"] == "shop.add"
    assert found["queue"] == "orders"
    assert found["priority"] == -6
    assert found["at"] == "2030-01-01T00:00:00+00:00"
    assert found["line"]
    request = request_of("shop.add", found["args"])
    assert request.args == [1, {"zz": 1, "a": "\0"}]
    assert request.kwargs == {"k": None}
    assert request.callbacks == [{"task": "t"}]
    assert request.headers == {"mine": {"b": 1}}
    assert (request.group, request.group_index, request.ignore_result) == ("g", 3, True)
    assert request.timelimit == [9, 5]
    assert request.stamps == {"s": ["x"]}
    assert request.expires == "2030-01-02T00:00:00+01:00"
    assert found["args"]["properties"] == {"mine": 1}
    assert (request.correlation_id, request.reply_to) == ("one", "r")


def test_a_message_of_protocol_1_is_a_call() -> None:
    told = {
        "task": "t",
        "id": "one",
        "args": [1],
        "kwargs": {},
        "retries": 2,
        "eta": None,
        "expires": None,
        "utc": True,
    }
    more = {"callbacks": None, "errbacks": None, "timelimit": [None, None], "taskset": "g", "chord": None}
    found = call_of({}, json.dumps({**told, **more}), {}, "q", "application/json")
    args = {"id": "one", "root_id": "one", "args": [1], "kwargs": {}, "retries": 2, "group": "g"}
    assert found == {"task": "t", "queue": "q", "priority": 0, "args": args}


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        ("[]", "application/x-python-serialize", "application/x-python-serialize"),
        ("{", "application/json", "no call"),
        ("[1, 2]", "application/json", "no call"),
        ('[{"a": 1}, {}, {}]', "application/json", "a list and a dict"),
        ("3", "application/json", "no call"),
    ],
)
def test_what_is_no_call_in_json_stays(body: str, kind: str, why: str) -> None:
    with pytest.raises(Unmovable, match=why):
        call_of(HEADERS, body, {}, "q", kind)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"serializer": "pickle"}, "it is written as pickle"),
        ({"exchange": "orders", "routing_key": "orders.new"}, "an exchange, and no queue"),
        ({"declare": ["one", "two"]}, "several queues"),
    ],
)
def test_what_celery_would_send_elsewhere_stays(options: dict[str, Any], why: str) -> None:
    with pytest.raises(Unmovable, match=why):
        Transport(Outbox(), None, ("", None)).publish(([], {}, {}), **options)


# -------------------------------------------------------------------- shadows


@pytest.mark.parametrize(
    ("theirs", "ours", "verdict"),
    [
        (("SUCCESS", {"a": [1]}), ("SUCCESS", {"a": [1]}), "equal"),
        (("SUCCESS", 1), ("SUCCESS", 1.0), "result"),
        (("SUCCESS", 1), ("SUCCESS", True), "result"),
        (("SUCCESS", 1), ("FAILURE", {"exc_type": "E", "exc_message": [1]}), "error"),
        (
            ("FAILURE", {"exc_type": "E", "exc_message": [1], "exc_module": "a"}),
            ("FAILURE", {"exc_type": "E", "exc_message": [1], "exc_module": "b"}),
            "equal",
        ),
        (
            ("FAILURE", {"exc_type": "E", "exc_message": [1]}),
            ("FAILURE", {"exc_type": "E", "exc_message": [2]}),
            "error",
        ),
        (
            ("FAILURE", {"exc_type": "E", "exc_message": [1]}),
            ("FAILURE", {"exc_type": "F", "exc_message": [1]}),
            "error",
        ),
        (("SUCCESS", 1), (None, "Retry"), "skipped"),
    ],
)
def test_runs_are_compared(theirs: tuple[str, Any], ours: tuple[Any, Any], verdict: str) -> None:
    found, why = shadow.compare(Theirs(*theirs, None), shadow.Ours(*ours, 0.1))
    assert found == verdict
    assert bool(why) == (verdict != "equal")


def test_the_report_says_how_they_compare(app: Celery, database_url: str) -> None:
    assert run(app, database_url, "bridge", "report").startswith("nothing was compared")
    noted = [("1", "equal", None, 2.0, 1.0), ("2", "result", "this", 4.0, 2.0), ("3", "skipped", "that", None, None)]
    for task_id, verdict, why, theirs, ours in noted:
        given = {"verdict": verdict, "why": why, "their_seconds": theirs, "our_seconds": ours}
        app.store.run("celery_shadow_note", task_id=task_id, task="t", **given)
    (row,) = bridge.parity(app)
    assert row[:-1] == ("t", 2, 1, 1, 0, 1, 3.0, 1.5)
    assert row.ratio == 0.5
    heads, line, told = run(app, database_url, "bridge", "report").splitlines()
    assert heads.split()[:3] == ["task", "compared", "equal"]
    assert line.split() == ["t", "2", "1", "1", "0", "1", "3.000", "1.500", "0.500"]
    assert told == "t: that"
    assert run(app, database_url, "report").endswith(f"{heads}\n{line}\n{told}\n")


def test_a_shadow_without_a_way_back_does_not_run(app: Celery) -> None:
    with pytest.raises(NotRolledBack, match="nobody has said"), rolled_back(app):
        pytest.fail("it runs")
    roll_back_with(app, ())
    with rolled_back(app):
        pass
    roll_back_with(app, [sessionmaker()])
    with pytest.raises(NotRolledBack, match="need -P prefork"), rolled_back(app):
        pytest.fail("it runs in a process that runs other calls too")


@pytest.mark.parametrize("wrong", ["Session", 3, None])
def test_what_cannot_roll_back_is_refused(app: Celery, wrong: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="roll_back="):
        bridge.install(app, roll_back=[wrong])


def test_a_way_back_of_ones_own_is_around_the_run_and_nothing_is_sent(app: Celery, conn: psycopg.Connection) -> None:
    seen: list[str] = []

    @contextmanager
    def way_back() -> Iterator[None]:
        seen.append("begins")
        yield
        seen.append("rolled back")

    @app.task(name="writes", bind=True)
    def writes(self: Any, n: int) -> int:
        seen.append(f"runs {self.request.id}")
        self.update_state(state="HALF")
        writes.delay(n)
        return n + 1

    bridge.install(app, roll_back=[way_back])
    told = {"id": "one", "args": [1], "kwargs": {}}
    ours = shadow.rehearse(app, "writes", told, "celery")
    assert ours[:2] == ("SUCCESS", 2)
    assert seen == ["begins", "runs one", "rolled back"]
    assert jobs(conn) == []
    assert app.AsyncResult("one").state == "PENDING"
    with pytest.raises(NotRolledBack, match="does not know"):
        shadow.rehearse(app, "other", told, "celery")

    @app.task(name="waits")
    async def waits(n: int) -> int:
        await asyncio.sleep(0)
        return n + 1

    assert shadow.rehearse(app, "waits", told, "celery")[:2] == ("SUCCESS", 2)


def test_sessions_are_rolled_back_in_a_child(database_url: str, conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE rolled (n integer)")
    conn.commit()
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(in_a_child, (database_url,)) == [1, 2, 0]
        conn.rollback()
        assert conn.execute("SELECT count(*) FROM rolled").fetchone() == (0,)
    finally:
        conn.rollback()
        conn.execute("DROP TABLE rolled")
        conn.commit()


def in_a_child(url: str) -> list[Any]:
    """Rows that sessions see: in a session, in the next one, and when all is rolled back."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    factory = sessionmaker(engine)
    app = Celery("child", set_as_current=False)
    roll_back_with(app, [factory])
    seen = []

    def count() -> None:
        with factory() as session:
            seen.append(session.execute(text("SELECT count(*) FROM rolled")).scalar_one())

    with rolled_back(app):
        for _ in range(2):
            with factory() as session:
                session.execute(text("INSERT INTO rolled VALUES (1)"))
                session.commit()
            count()
    count()
    engine.dispose()
    return seen


# -------------------------------------------------------------------- celery by another name

TEAM = """
import celery
from celery import Celery, chain, shared_task
from celery.exceptions import Retry
from celery.schedules import crontab
from celery.utils.log import get_task_logger
import celery.utils.log as log
import workrow.celery, workrow.celery.utils.log
assert celery is workrow.celery and log is workrow.celery.utils.log
assert workrow.celery.__spec__.name == "workrow.celery"

app = Celery("team", broker="redis://old")

@shared_task(name="team.twice", bind=True)
def twice(self, n):
    return [n * 2, type(self).__module__, isinstance(Retry(), workrow.celery.exceptions.Retry)]
"""


def test_a_module_that_imports_celery_runs_here_as_it_is(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "team.py").write_text(TEAM)
    environment = {**os.environ, "DATABASE_URL": database_url, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "workrow.celery", "--as-celery", "-A", "team"]
    worker = subprocess.Popen([*command, "worker", "-c", "1"], cwd=tmp_path, env=environment)
    try:
        sent = subprocess.run(
            [*command, "call", "team.twice", "-a", "[4]"], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        got = subprocess.run(
            [*command, "result", sent.stdout.strip()], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=60,
        )  # fmt: skip
    finally:
        worker.terminate()
        worker.wait(60)
    assert json.loads(got.stdout) == [8, "team", True], "in a child process"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import celery.bootsteps", "celery.bootsteps is not in workrow.celery"),
        ("from celery import no_such_name", "no_such_name"),
    ],
)
def test_a_name_of_celery_that_is_not_here_is_told(code: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "team.py").write_text(code)
    command = [sys.executable, "-m", "workrow.celery", "--as-celery", "-A", "team", "purge"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert told in done.stderr


def test_who_has_the_real_one_cannot_have_ours_too(tmp_path: Path) -> None:
    (tmp_path / "celery.py").write_text("")
    code = "import celery; from workrow.celery.bridge import alias; alias.activate()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "celery has been imported already" in done.stderr


def test_only_an_app_can_be_bridged() -> None:
    with pytest.raises(TypeError, match=r"install\('shop'\)"):
        bridge.install("shop")


def test_a_drain_is_from_redis(database_url: str) -> None:
    done = CliRunner().invoke(main, ["-b", database_url, "drain", "--from", "amqp://host"])
    assert done.exit_code == 2
    assert "must be the URL of a Redis" in done.output
