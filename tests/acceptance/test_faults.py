"""Workers as processes: killed, paused, stopped, and with the database taken away."""

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.acceptance.commands import is_alive, start, wait_for
from tests.chaos.cluster import Cluster, free_port
from workrow import schema

pytestmark = pytest.mark.timed

LEASE = 2.0
"""Seconds, as in fault_app."""


def worker(url: str, *options: str, **names: str) -> AbstractContextManager[subprocess.Popen[str]]:
    app = ("--app=tests.acceptance.fault_app.app", "worker", "--log-level=warning", *options)
    return start(("workrow", *app), FAULT_DATABASE_URL=url, **names)


@pytest.fixture
def effects(conn: Any) -> Iterator[None]:
    conn.execute("CREATE TABLE effects (job_id bigint)")
    yield
    conn.execute("DROP TABLE effects")


def enqueue(conn: Any, task: str, args: str = "{}") -> int:
    return int(
        conn.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('default', %s, %s) RETURNING id",
            [task, args],
        ).fetchone()[0]
    )


def job(conn: Any, job_id: int) -> Any:
    return conn.execute("SELECT status, attempts, crashes, claims FROM workrow.jobs WHERE id = %s", [job_id]).fetchone()


def running(conn: Any, job_id: int) -> bool:
    return bool(job(conn, job_id)[0] == "doing")


def succeeded(conn: Any, job_id: int) -> bool:
    return bool(job(conn, job_id)[0] == "succeeded")


def test_a_killed_workers_job_is_rescued(database_url: str, conn: Any) -> None:
    slow = enqueue(conn, "sleep", '{"seconds": 1}')
    with worker(database_url) as first:
        wait_for(lambda: running(conn, slow))
        first.kill()
    began = time.monotonic()
    with worker(database_url):
        wait_for(lambda: succeeded(conn, slow))
    # the new worker waits a lease before it takes anybody for dead; the default lease of 20 s makes this 25 s
    assert time.monotonic() - began < LEASE * 1.5 + 1 + 8, "start of a process and a second of work included"
    assert job(conn, slow) == ("succeeded", 1, 1, 2)


@pytest.mark.parametrize("task", ["sleep", "block"])
def test_who_is_killed_while_it_stops_makes_no_suspects(database_url: str, conn: Any, task: str) -> None:
    """Deploys under a long job: SIGTERM, the end of the grace, SIGKILL. Also where the job blocks the event loop."""
    long = enqueue(conn, task, '{"seconds": 60}')
    for deploy in range(1, 4):
        with worker(database_url) as stopped:
            wait_for(lambda expected=deploy: job(conn, long)[::3] == ("doing", expected))
            stopped.terminate()
            wait_for(lambda: conn.execute("SELECT 1 FROM workrow.workers WHERE stopping_at IS NOT NULL").fetchone())
            assert stopped.poll() is None
            stopped.kill()
    with worker(database_url):
        wait_for(lambda: job(conn, long)[::3] == ("doing", 4))
        assert job(conn, long) == ("doing", 0, 0, 4)
    (said,) = conn.execute("SELECT errors -> -1 ->> 'message' FROM workrow.jobs").fetchone()
    assert said.startswith("lost heartbeat of ")
    assert said.endswith(", which had said that it stops")


@pytest.mark.usefixtures("effects")
def test_killed_between_its_last_write_and_the_commit_it_leaves_nothing(database_url: str, conn: Any) -> None:
    dying = enqueue(conn, "effect", '{"seconds": 0, "dies": true}')
    with worker(database_url) as first:
        assert first.wait(30) == -signal.SIGKILL
    assert conn.execute("SELECT count(*) FROM effects").fetchone() == (0,)
    assert job(conn, dying)[0] == "doing"
    with worker(database_url, SURVIVES="1"):
        wait_for(lambda: succeeded(conn, dying))
    assert conn.execute("SELECT job_id FROM effects").fetchall() == [(dying,)]


@pytest.mark.usefixtures("effects")
def test_killed_while_its_job_sleeps_and_in_a_step(database_url: str, conn: Any) -> None:
    """The sleep goes on; what is recorded does not run again; a transactional step's effect is there once."""
    stepping = enqueue(conn, "steps")
    with worker(database_url) as first:
        wait_for(lambda: conn.execute("SELECT 1 FROM workrow.steps WHERE kind = 'sleep'").fetchone())
        first.kill()
    assert job(conn, stepping) == ("todo", 0, 0, 1)
    with worker(database_url) as second:
        assert second.wait(30) == -signal.SIGKILL
    assert conn.execute("SELECT job_id FROM effects").fetchall() == [(1,)]
    with worker(database_url, SURVIVES="1"):
        wait_for(lambda: succeeded(conn, stepping))
    assert conn.execute("SELECT job_id FROM effects ORDER BY job_id").fetchall() == [(1,), (2,)]
    assert job(conn, stepping) == ("succeeded", 1, 1, 3)


@pytest.mark.usefixtures("effects")
def test_each_job_of_a_killed_batch_runs_again_and_ends_once(database_url: str, conn: Any) -> None:
    jobs = [enqueue(conn, "batched", f'{{"arg0": {number}}}') for number in range(5)]
    with worker(database_url, "-c", "1") as first:
        assert first.wait(30) == -signal.SIGKILL
    assert conn.execute("SELECT job_id FROM effects ORDER BY job_id").fetchall() == [(each,) for each in jobs[:3]]
    with worker(database_url, SURVIVES="1"):
        wait_for(lambda: all(succeeded(conn, each) for each in jobs))
    counts = conn.execute("SELECT job_id, count(*) FROM effects GROUP BY job_id ORDER BY job_id").fetchall()
    assert counts == [*((each, 2) for each in jobs[:3]), *((each, 1) for each in jobs[3:])]
    ends = conn.execute("SELECT id, result, crashes FROM workrow.jobs WHERE task = 'batched' ORDER BY id").fetchall()
    assert [end[:2] for end in ends] == [(each, number) for number, each in enumerate(jobs)]
    assert {end[2] for end in ends[:3]} == {1}


@pytest.mark.usefixtures("effects")
def test_paused_for_twice_its_lease_its_effects_stay_exactly_once(database_url: str, conn: Any) -> None:
    jobs = [enqueue(conn, "effect", '{"seconds": 0.5, "dies": false}') for _ in range(10)]
    with worker(database_url, "-c", "5") as paused:
        wait_for(lambda: any(running(conn, each) for each in jobs))
        paused.send_signal(signal.SIGSTOP)
        with worker(database_url, "-c", "5"):
            time.sleep(2 * LEASE)
            paused.send_signal(signal.SIGCONT)
            wait_for(lambda: all(succeeded(conn, each) for each in jobs))
            after = enqueue(conn, "noop")
            wait_for(lambda: succeeded(conn, after))
        # the paused one has registered anew, and works
        later = enqueue(conn, "noop")
        wait_for(lambda: succeeded(conn, later))
        paused.send_signal(signal.SIGTERM)
        assert paused.wait(10) == 0
    counts = conn.execute("SELECT job_id, count(*) FROM effects GROUP BY job_id ORDER BY job_id").fetchall()
    assert counts == [(each, 1) for each in jobs]


@pytest.mark.parametrize("command", ["workrow", "procrastinate"])
def test_sigterm_hands_everything_back_within_a_second(command: str, database_url: str, conn: Any) -> None:
    slow = [enqueue(conn, "sleep", '{"seconds": 60}'), enqueue(conn, "sleep_in_thread", '{"seconds": 60}')]
    if command == "workrow":
        running_worker = worker(database_url, "-c", "2", "--shutdown-timeout=0")
    else:
        options = ("--app=tests.acceptance.fault_app.app", "worker", "--concurrency=2", "--shutdown-graceful-timeout=0")
        running_worker = start(("procrastinate", *options), FAULT_DATABASE_URL=database_url)
    with running_worker as process:
        wait_for(lambda: all(running(conn, each) for each in slow))
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        wait_for(lambda: job(conn, slow[0])[0] == "todo")
        assert time.monotonic() - began < 1
        wait_for(lambda: job(conn, slow[1])[0] == "todo")
        # the thread sleeps in C and is left behind
        assert process.wait(10) == 75
    assert [job(conn, each)[:3] for each in slow] == [("todo", 0, 0)] * 2
    assert conn.execute("SELECT count(*) FROM procrastinate_workers").fetchone() == (0,)


def test_a_second_signal_hurries(database_url: str, conn: Any) -> None:
    slow = enqueue(conn, "sleep", '{"seconds": 60}')
    with worker(database_url) as process:
        wait_for(lambda: running(conn, slow))
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    assert job(conn, slow)[0] == "todo"


def test_what_could_not_be_written_is_no_orderly_end(cluster: Cluster) -> None:
    with worker(cluster.url) as process:
        with psycopg.connect(cluster.url, autocommit=True) as conn:
            slow = enqueue(conn, "sleep", '{"seconds": 1}')
            wait_for(lambda: running(conn, slow))
        cluster.crash()
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)  # it waits for the database
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 75
    cluster.restart()


def test_who_has_lost_parent_and_database_leaves(cluster: Cluster) -> None:
    with worker(cluster.url, "--processes", "2") as parent:
        with psycopg.connect(cluster.url, autocommit=True) as conn:
            wait_for(lambda: conn.execute("SELECT count(*) FROM workrow.workers WHERE alive").fetchone() == (2,))
            for _ in range(4):
                enqueue(conn, "sleep", '{"seconds": 1}')
            orphans = [pid for (pid,) in conn.execute("SELECT pid FROM workrow.workers WHERE alive")]
            wait_for(lambda: conn.execute("SELECT FROM workrow.jobs WHERE status = 'doing'").fetchall())
        cluster.crash()
        parent.kill()
        time.sleep(2 * LEASE)
        assert any(is_alive(pid) for pid in orphans)  # the database may come back, and be told how the jobs ended
        wait_for(lambda: not any(is_alive(pid) for pid in orphans))
    cluster.restart()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # not pytest's own directory, which the account that PostgreSQL runs as may not enter
    directory = Path(tempfile.mkdtemp(prefix="workrow-faults-"))
    cluster = Cluster(directory, directory)
    try:
        cluster.start()
        schema.upgrade(cluster.url)
        yield cluster
    finally:
        cluster.destroy()
        shutil.rmtree(directory)


def test_a_restart_and_an_outage_are_survived(cluster: Cluster) -> None:
    port = free_port()
    with worker(cluster.url, f"--health=127.0.0.1:{port}", "--concurrency=5") as process:
        for outage in (0.0, 12.0):
            with psycopg.connect(cluster.url, autocommit=True) as conn:
                first = enqueue(conn, "noop")
                wait_for(lambda: succeeded(conn, first))  # noqa: B023 - asked here
                producer = enqueue(conn, "produce", '{"seconds": 20}')
                wait_for(lambda: running(conn, producer))  # noqa: B023
            cluster.crash()
            time.sleep(outage)
            assert process.poll() is None
            if outage:
                told = httpx.get(f"http://127.0.0.1:{port}/")
                assert told.status_code == 503
                assert any("no heartbeat for" in problem for problem in told.json()["problems"])
            cluster.restart()
            with psycopg.connect(cluster.url, autocommit=True) as conn:
                # it listens again: what comes is heard, and not found by the two-second look of an idle worker
                wait_for(lambda: listens(conn))
                second = enqueue(conn, "noop")
                wait_for(lambda: succeeded(conn, second))  # noqa: B023
                ticked = "SELECT max(id) FROM workrow.jobs WHERE task = 'tick'"
                before = conn.execute(ticked).fetchone()
                wait_for(lambda: conn.execute(ticked).fetchone() != before)  # noqa: B023
                wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/").json()["status"] == "ok")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0  # the producer may wait for a connection
        assert process.stdout is not None
        said = process.stdout.read()
    # once when it begins and once when it is over, whoever asks it, psycopg's pool included
    words = re.findall(r"the database is (away|back)", said)
    assert words == ["away", "back"] * 2, said
    assert "psycopg.pool" not in said, said


def listens(conn: Any) -> bool:
    # whose query names the canary, as this one does, too
    query = """SELECT count(*) FROM pg_stat_activity
               WHERE (query LIKE 'LISTEN%%' OR query LIKE '%%workrow_canary%%') AND pid <> pg_backend_pid()"""
    return bool(conn.execute(query).fetchone()[0])
