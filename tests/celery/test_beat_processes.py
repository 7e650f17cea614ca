"""Processes of beat are killed at any moment: each due time has one call all the same."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

REPOSITORY = Path(__file__).parents[2]

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(database_url: str) -> Iterator[Start]:
    """Processes of `tests.celery.beat_app`."""
    running: list[subprocess.Popen[str]] = []

    def one(*words: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.celery.beat_app", *words],
            cwd=REPOSITORY,
            env={**os.environ, "DATABASE_URL": database_url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield one
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def heard(process: "subprocess.Popen[str]", words: str) -> None:
    """Until it has said so."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"it ended without {words!r}")


def counted(conn: psycopg.Connection) -> list[tuple[int, int, int]]:
    """Of each entry: its number, how often it was due, how many calls there are."""
    return conn.execute(
        """SELECT right(name, 1)::int, total_run_count, (
               SELECT count(*) FROM procrastinate_jobs WHERE args -> 'args' ->> 0 = right(name, 1)
           )
           FROM workrow.celery_schedules ORDER BY name"""
    ).fetchall()


def test_none_is_lost_and_none_doubled_by_kills(start: Start, conn: psycopg.Connection) -> None:
    chance = random.Random(7)
    beats = [start("beat") for _ in range(3)]
    for beat in beats:
        heard(beat, "beat_init Beat")
    for _ in range(6):
        time.sleep(chance.uniform(0.1, 0.5))
        victim = chance.randrange(3)
        beats[victim].send_signal(signal.SIGKILL)
        beats[victim].wait()
        beats[victim] = start("beat")
    heard(beats[victim], "beat_init Beat")
    time.sleep(0.5)
    for beat in beats:
        beat.send_signal(signal.SIGTERM)
    assert [beat.wait(10) for beat in beats] == [0, 0, 0]
    found = counted(conn)
    assert [n for n, *_ in found] == [0, 1, 2, 3]
    assert all(due == sent > 5 for _, due, sent in found), found
    heard(beats[victim], "ended")


def test_who_is_killed_while_it_sends_leaves_the_due_time_to_the_others(start: Start, conn: psycopg.Connection) -> None:
    dies = start("beat", "kill")
    heard(dies, "dying in 3")
    assert dies.wait(10) == -signal.SIGKILL
    found = counted(conn)
    assert sum(due for _, due, _ in found) == 2
    assert all(due == sent for _, due, sent in found), found
    lives = start("beat")
    heard(lives, "beat_init")
    until = time.monotonic() + 10
    while min(due for _, due, _ in counted(conn)) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    lives.send_signal(signal.SIGTERM)
    assert lives.wait(10) == 0
    found = counted(conn)
    assert all(due == sent >= 2 for _, due, sent in found), found


def test_who_is_stopped_while_it_sends_loses_the_entry_to_the_others(start: Start, conn: psycopg.Connection) -> None:
    """A process that stands still holds no lock that others wait for: they go on with the rest meanwhile."""
    stopped = start("beat")
    heard(stopped, "beat_init")
    other = start("beat")
    heard(other, "beat_init")
    time.sleep(0.3)
    stopped.send_signal(signal.SIGSTOP)
    before = counted(conn)
    time.sleep(1)
    moved = [now[1] > then[1] for then, now in zip(before, counted(conn), strict=True)]
    assert moved.count(True) >= 3
    stopped.send_signal(signal.SIGCONT)
    for process in (stopped, other):
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert all(due == sent for _, due, sent in counted(conn))


def test_beside_a_worker(start: Start) -> None:
    worker = start("worker")
    heard(worker, "beat_init Beat")
    heard(worker, "beat_embedded_init Beat")
    heard(worker, "ran 3")
    worker.send_signal(signal.SIGTERM)
    heard(worker, "ended")
    assert worker.wait(10) == 0
