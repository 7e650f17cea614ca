"""The server of the chaos suite, and its standby, are what they are said to be."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.chaos.cluster import Cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A primary and its standby; not under pytest's own directory, which PostgreSQL's account may not enter."""
    directory = Path(tempfile.mkdtemp(prefix="workrow-chaos-"))
    directory.chmod(0o755)
    # what is not synced by its own commit is not by this one either, for ten seconds
    cluster = Cluster(directory, directory, standby=True, settings={"wal_writer_delay": "10s"})
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()
        shutil.rmtree(directory)


def test_commits_wait_for_the_standby_after_each_failover(cluster: Cluster) -> None:
    def commit(number: int) -> None:
        with psycopg.connect(cluster.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
            # what a commit waits for: asked of the server, and of the standby as the server sees it
            assert connection.execute("SHOW synchronous_standby_names").fetchone() == ("*",)
            assert connection.execute("SELECT sync_state FROM pg_stat_replication").fetchall() == [("sync",)]

    commit(0)
    for number in (1, 2):
        cluster.fail_over()
        cluster.rebuild()
        commit(number)
    with psycopg.connect(cluster.url) as connection:
        assert connection.execute("SELECT number FROM kept ORDER BY number").fetchall() == [(0,), (1,), (2,)]


def test_a_failover_takes_what_was_committed_without_waiting_for_the_disk(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        connection.execute("INSERT INTO kept VALUES (1)")
        connection.execute("SET synchronous_commit = off")  # as claims are
        connection.execute("INSERT INTO kept VALUES (2)")
        before = time.monotonic()
        cluster.fail_over()
    with psycopg.connect(cluster.url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]
    ((began, ended),) = cluster.crashes
    assert before < began < ended < time.monotonic()


def test_a_crash_of_the_server_by_itself_is_noted(cluster: Cluster) -> None:
    assert not cluster.look()
    with psycopg.connect(cluster.url) as connection:
        os.kill(connection.info.backend_pid, signal.SIGABRT)
    deadline = time.monotonic() + 10
    while not cluster.look():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cluster.wait_for_standby()  # which it does while the server recovers
    cluster.crash()
    cluster.restart()
    assert not cluster.look()
    assert len(cluster.crashes) == 2
