"""The bridge between Celery 5.7 on Redis and workrow: both fleets, on one module."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.celery.bridge_lab import REPOSITORY, SECONDS, Lab, lab_on, until

CALLS = int(os.environ.get("BRIDGE_CALLS", "500"))


@pytest.fixture
def lab(database_url: str) -> Iterator[Lab]:
    with lab_on(database_url) as lab:
        yield lab


@pytest.fixture
def orders(conn: psycopg.Connection) -> Iterator[psycopg.Connection]:
    conn.execute("CREATE TABLE shop_orders (name text)")
    conn.commit()
    yield conn
    conn.rollback()
    conn.execute("DROP TABLE shop_orders")
    conn.commit()


def shown(conn: psycopg.Connection, statement: str) -> list[tuple[Any, ...]]:
    conn.rollback()
    return conn.execute(statement).fetchall()


@pytest.mark.timeout(600)
def test_every_call_runs_once_while_the_dial_goes_up_and_back(lab: Lab) -> None:
    with lab.old_worker(), lab.new_worker("-P", "threads"):
        done = subprocess.run(
            [lab.python, "-m", "tests.celery.bridge_dialled", str(CALLS)],
            cwd=REPOSITORY, env=lab.environment, capture_output=True, text=True, timeout=500,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        assert json.loads(done.stdout)["wrong"] == []
        ran = lab.ran()
    assert sorted(int(n) for _, n in ran) == list(range(CALLS))
    step = CALLS // 5
    here = Counter(int(n) // step for side, n in ran if side == "here")
    assert here[0] == 0
    assert 0 < here[1] < here[2] < here[3] <= step
    assert here[4] <= step // 4 + 4, "nothing comes here once the dial is known to be at 0"


@pytest.mark.timeout(300)
def test_what_belongs_together_stays_on_one_side_and_results_are_found(lab: Lab) -> None:
    with lab.old_worker(), lab.new_worker():
        lab.command("bridge", "dial", "*", "100")
        assert lab.produce("""
seen = {}
seen["call"] = shop.side.delay().get(timeout=60)
seen["chain"] = shop.canvas(1).apply_async().get(timeout=60)
body = shop.header(1).apply_async()
seen["chord"], seen["header"] = body.get(timeout=60), body.parent.get(timeout=60)
members = shop.group(shop.add.s(1, n) for n in range(3)).apply_async()
members.save()
seen["group"], seen["restored"] = members.get(timeout=60), app.GroupResult.restore(members.id).get(timeout=60)
seen["again"] = shop.again.delay(2).get(timeout=60)
try:
    shop.fail.delay("x").get(timeout=60)
except KeyError as error:
    seen["error"] = repr(error)
linked = shop.add.apply_async((1, 2), link=shop.count.s(), countdown=0.2, priority=3, expires=100, queue="slow")
seen["linked"] = linked.get(timeout=60)
seen["child"] = linked.children[0].get(timeout=60)
seen["anew"] = app.AsyncResult(linked.id).get(timeout=60)
caller = shop.caller.delay(5)
seen["caller"] = caller.get(timeout=60)[0]
seen["called"] = app.AsyncResult(caller.get()[1]).get(timeout=60)
later = shop.add.apply_async((1, 2), countdown=1000)
later.revoke()
seen["revoked"] = later.state
print(json.dumps(seen))
""") == {
            "call": "here", "chain": 7, "chord": 15, "header": [1, 2, 3, 4, 5], "group": [1, 2, 3],
            "restored": [1, 2, 3], "again": "here", "error": "KeyError('x', 'shop.fail')", "linked": 3, "child": 4,
            "anew": 3, "caller": "here", "called": 10, "revoked": "REVOKED",
        }  # fmt: skip
        assert {side for side, _ in lab.ran()} == {"here"}

        lab.redis("del", "ran")
        lab.command("bridge", "dial", "shop.total", "0")  # so that no canvas with it comes here
        assert lab.produce("""
seen = [shop.canvas(1).apply_async().get(timeout=60), shop.header(1).apply_async().get(timeout=60)]
seen.append(shop.caller.apply_async((5,), link=shop.total.si([1])).get(timeout=60)[0])
print(json.dumps(seen))
""") == [7, 15, "old"]
        until(lambda: len(lab.ran()) >= 14)
        assert {side for side, _ in lab.ran()} == {"old"}, "what a task calls stays on its side"

        lab.command("bridge", "off")
        assert lab.produce("print(json.dumps(shop.side.delay().get(timeout=60)))") == "old"
        lab.command("bridge", "on")
        lab.command("bridge", "dial", "shop.side", "50", "--by", "user")
        sides = lab.produce("""
sent = [(n % 20, shop.side.delay(user=f"user {n % 20}")) for n in range(60)]
halves = [(n // 10, shop.by_half.delay(n)) for n in range(200)]
print(json.dumps([[[user, result.get(timeout=60)] for user, result in each] for each in (sent, halves)]))
""")
        assert [each[1] for each in sides[1]] == ["here"] * 200
        by_user = {(user, side) for user, side in sides[0]}
        assert len(by_user) == 20, "a user's calls are all on one side"
        assert {side for _, side in by_user} == {"old", "here"}

        lab.redis("del", "ran")
        lab.command("bridge", "dial", "shop.side", "100")
        with lab.started("celery", "-A", "tests.celery.bridge_shop", "beat", "-s", f"{lab.folder}/beat", "-l", "ERROR"):
            until(lambda: ["here", "beat"] in lab.ran())


@pytest.mark.timeout(200)
def test_without_a_database_all_goes_to_the_old_broker_and_is_said_once(lab: Lab) -> None:
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    lab.produce("for n in range(5): shop.count.delay(n)\nshop.header(1).apply_async()", **nowhere)
    assert lab.redis("llen", "celery").strip() == "10"
    assert lab.said.count("all calls go to the old broker") == 1
    lab.command("bridge", "dial", "*", "100")
    lab.produce("""
from decimal import Decimal
shop.count.apply_async((1,), serializer="pickle")
shop.add.delay(Decimal("1.5"), 2)
""")
    assert lab.redis("llen", "celery").strip() == "11", "pickle goes as ever"
    assert "calls of shop.count go to the old broker: it is written as pickle" in lab.said


@pytest.mark.timeout(300)
def test_shadows_are_rolled_back_and_compared(lab: Lab, orders: psycopg.Connection) -> None:
    lab.command("bridge", "shadow", "*", "100")
    with lab.old_worker(), lab.new_worker():
        lab.produce("""
sent = [shop.writes.delay("a"), shop.other.delay(), shop.fail.delay("x"), shop.add.delay(1, 2), shop.again.delay(1),
        shop.add.delay(1, "x"), shop.slow.delay(0.3)]
[each.get(timeout=60, propagate=False) for each in sent]
""")
        rows = "SELECT task, verdict, why FROM workrow.celery_bridge_shadows ORDER BY task, why"
        until(lambda: len(shown(orders, rows)) == 7)
        assert shown(orders, "SELECT task_name FROM procrastinate_jobs") == [], "nothing that a shadow calls is sent"
    assert shown(orders, rows) == [
        ("shop.add", "equal", None), ("shop.add", "equal", None),
        ("shop.again", "skipped", "the run here has asked for Retry, which is not followed"),
        ("shop.fail", "equal", None), ("shop.other", "result", 'Celery: "old"; here: "here"'),
        ("shop.slow", "result", 'Celery: "old"; here: "here"'), ("shop.writes", "equal", None),
    ]  # fmt: skip
    assert shown(orders, "SELECT name FROM shop_orders") == [("a old",)], "the shadow saw its own row, and it is gone"
    report = lab.command("bridge", "report").splitlines()
    assert report[1].split()[:6] == ["shop.add", "2", "2", "0", "0", "0"]
    assert float(next(line for line in report if line.startswith("shop.slow ")).split()[7]) >= 0.3


def drained(lab: Lab, *words: str) -> str:
    command = [lab.python, "-m", "workrow.celery", "drain", "--from", lab.redis_url, "-Q", "celery,slow", *words]
    done = subprocess.run(command, cwd=REPOSITORY, env=lab.environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(200)
def test_what_waits_in_redis_becomes_jobs(lab: Lab, conn: psycopg.Connection) -> None:
    lab.produce("""
from datetime import UTC, datetime, timedelta
for n in range(30):
    shop.count.apply_async((n,), priority=n % 10)
when = datetime.now(UTC) + timedelta(hours=1)
shop.add.apply_async((1, 2), eta=when, expires=7200, link=shop.count.s(), headers={"mine": 1}, time_limit=9)
shop.canvas(1).apply_async()
shop.add.apply_async((1, 2), serializer="pickle")
shop.add.apply_async((1, 2), compression="gzip")
shop.slow.delay(0)
""")
    lab.produce("app.conf.task_protocol = 1\nshop.count.apply_async((99,), link=shop.count.s())")
    lab.redis("lpush", "celery", "no message")
    left = (
        "left: 1 of ?: it is no message of Celery's: JSONDecodeError\n"
        "left: 1 of shop.add: its content is application/x-python-serialize, and only JSON is stored here\n"
        "left: 3 of shop.add: part of a chord, whose counter stays in the old result backend\n"
    )
    counts = "2 of shop.add\n{0}31 of shop.count\n{0}1 of shop.slow\n"
    assert drained(lab, "--dry-run") == "would be moved: " + counts.format("would be moved: ") + left
    assert drained(lab) == "moved: " + counts.format("moved: ") + left
    assert drained(lab) == left
    assert lab.redis("llen", "celery").strip() == "5"
    jobs = shown(conn, "SELECT task_name, queue_name, priority, args, scheduled_at - now() FROM procrastinate_jobs")
    numbers = [(priority, told["args"][0]) for task, _, priority, told, _ in jobs if task == "shop.count"]
    assert numbers[:9] == [(0, n) for n in (0, 1, 2, 10, 11, 12, 20, 21, 22)], "the most urgent, oldest first"
    assert Counter(priority for priority, _ in numbers) == {0: 10, -3: 9, -6: 9, -9: 3}
    (later,) = [told for task, _, _, told, due in jobs if due is not None]
    assert later["headers"] == {"mine": 1}
    assert later["timelimit"] == [9, None]
    assert "expires" in later
    assert [queue for task, queue, *_ in jobs if task == "shop.slow"] == ["slow"]
    assert drained(lab, "--with-chords").startswith("moved: 3 of shop.add\n")
    with lab.new_worker():
        until(lambda: len(lab.ran()) >= 30 + 2 + 1 + 3)
    assert {int(n) for side, n in lab.ran() if n.isdigit()} >= {*range(30), 99, 100}


@pytest.mark.timeout(200)
def test_queues_that_a_drain_was_not_told_of_are_named(lab: Lab) -> None:
    lab.produce("""
for n in range(5):
    shop.count.apply_async((n,), queue="reports", priority=9 * (n % 2))
shop.count.apply_async((1,), queue="mails")
""")
    lab.redis("rpush", "somebodys", "else")
    lab.redis("rpush", "numbers", "1")
    told = "not looked at: 1 in mails, 5 in reports: name these queues, too, with -Q celery,slow,mails,reports\n"
    assert drained(lab, "--dry-run") == drained(lab) == "nothing waits in celery, slow\n" + told
    assert drained(lab, "-Q", "celery,slow,mails,reports") == "moved: 6 of shop.count\n"


@pytest.mark.timeout(300)
def test_a_drain_that_is_killed_anywhere_loses_nothing_and_doubles_nothing(lab: Lab, conn: psycopg.Connection) -> None:
    calls = 1500
    lab.produce(f"for n in range({calls}): shop.count.delay(n)")
    kills = 0
    while lab.redis("exists", "celery", "workrow-drain:celery").strip() != "0":
        command = [lab.python, "-m", "workrow.celery", "drain", "--from", lab.redis_url]
        process = subprocess.Popen(command, cwd=REPOSITORY, env=lab.environment, stdout=subprocess.DEVNULL)
        before = int(lab.redis("llen", "celery"))
        until(lambda: process.poll() is not None or int(lab.redis("llen", "celery")) < before)  # noqa: B023
        time.sleep(kills * 0.013 % 0.05)
        if kills < 6 and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    jobs = shown(conn, "SELECT CAST(args -> 'args' ->> 0 AS integer) FROM procrastinate_jobs ORDER BY 1")
    assert [n for (n,) in jobs] == list(range(calls))
    assert kills >= 3


@pytest.mark.timeout(200)
def test_a_message_that_a_worker_holds_for_its_eta_comes_back_when_it_is_stopped(lab: Lab) -> None:
    lab.produce("shop.count.apply_async((1,), countdown=1000)")
    with lab.old_worker():
        until(lambda: lab.redis("hlen", "unacked").strip() == "1")
        assert drained(lab).startswith("nothing waits in celery, slow\n1 are with Celery's workers")
    assert drained(lab) == "moved: 1 of shop.count\n"
