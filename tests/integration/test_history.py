"""The partitions of the history: made ahead, dropped whole, and nobody waits behind either."""

import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from workrow import schema


@pytest.fixture
def conn(empty_database_url: str) -> Any:
    schema.upgrade(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = '10s'")
        yield connection


@pytest.fixture
def reader(empty_database_url: str, conn: Any) -> Any:
    """Somebody who reads the history in a transaction and does not end it."""
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("SELECT count(*) FROM workrow.jobs")
        yield connection


def partitions(conn: Any) -> set[str]:
    query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'workrow.history'::regclass"
    return {name.removeprefix("workrow.history_") for (name,) in conn.execute(query)}


def days(conn: Any) -> list[str]:
    (today,) = conn.execute("SELECT now() AT TIME ZONE 'UTC'").fetchone()
    return [(today + timedelta(days=ahead)).strftime("%Y%m%d") for ahead in range(4)]


def finish_one(conn: Any) -> int:
    """Insert, claim and finish one job; its id."""
    conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 't')")
    (job,) = conn.execute("SELECT id FROM procrastinate_fetch_job_v2(NULL, NULL)").fetchone()
    conn.execute("SELECT procrastinate_finish_job_v1(%s, 'succeeded', false)", [job])
    return int(job)


def finish(conn: Any) -> tuple[int, str]:
    """The same; its id and the table where it is."""
    job = finish_one(conn)
    (table,) = conn.execute("SELECT tableoid::regclass::text FROM workrow.history WHERE id = %s", [job]).fetchone()
    return job, table.removeprefix("workrow.history_")


def prune(conn: Any, keep: str) -> int:
    return int(conn.execute("SELECT workrow.prune_history_v1(CAST(%s AS interval))", [keep]).fetchone()[0])


def test_today_and_three_days_are_there(conn: Any) -> None:
    assert partitions(conn) == {"past", "default", *days(conn)}
    assert finish(conn)[1] == days(conn)[0]


def test_a_missing_day_stops_no_finish_and_is_made_up_for(conn: Any) -> None:
    today = days(conn)[0]
    conn.execute(f"DROP TABLE workrow.history_{today}")
    job, table = finish(conn)
    assert table == "default"
    assert conn.execute("SELECT workrow.extend_history_v1()").fetchone() == (1,)
    query = "SELECT tableoid::regclass::text FROM workrow.history WHERE id = %s"
    assert conn.execute(query, [job]).fetchone() == (f"workrow.history_{today}",)
    assert partitions(conn) == {"past", "default", *days(conn)}


def test_two_at_once_make_a_day_once(conn: Any, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as first:
        assert first.execute("SELECT workrow.extend_history_v1(4)").fetchone() == (1,)
        assert conn.execute("SELECT workrow.extend_history_v1(4)").fetchone() == (0,)
    assert conn.execute("SELECT workrow.extend_history_v1(4)").fetchone() == (0,)


def test_a_finish_goes_on_while_a_day_is_made(conn: Any, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as other:
        assert other.execute("SELECT workrow.extend_history_v1(4)").fetchone() == (1,)
        finish_one(conn)


def test_whole_days_are_dropped(conn: Any) -> None:
    finish(conn)
    assert prune(conn, "1 day") == 0
    assert prune(conn, "0 days") == 1  # the past, which ended this morning
    assert prune(conn, "-25 hours") >= 1
    assert conn.execute("SELECT count(*) FROM workrow.history").fetchone() == (0,)
    assert "default" in partitions(conn)


def test_prune_gives_up_behind_a_reader_and_no_finish_waits(
    conn: Any, reader: psycopg.Connection[Any], empty_database_url: str
) -> None:
    dropped: list[int] = []

    def run() -> None:
        with psycopg.connect(empty_database_url, autocommit=True) as connection:
            connection.execute("SET statement_timeout = '10s'")
            dropped.append(prune(connection, "0 days"))

    thread = threading.Thread(target=run)
    thread.start()
    finish(conn)  # would fail at its statement_timeout
    thread.join()
    assert dropped == [0]
    reader.rollback()
    assert prune(conn, "0 days") == 1


def test_extend_gives_up_behind_a_reader_and_leaves_nothing(conn: Any, reader: psycopg.Connection[Any]) -> None:
    assert conn.execute("SELECT workrow.extend_history_v1(4)").fetchone() == (0,)
    assert conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'workrow' AND tablename ~ '^history_2'"
                        ).fetchone() == (4,)  # fmt: skip
    reader.rollback()
    assert conn.execute("SELECT workrow.extend_history_v1(4)").fetchone() == (1,)


def test_a_queue_that_stock_code_drained_is_still_shown(conn: Any) -> None:
    finish(conn)
    assert conn.execute("SELECT queue, depth, running FROM workrow.queues").fetchall() == [("q", 0, 0)]
