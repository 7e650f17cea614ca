"""Limits in SQL: what a claim admits, line by line."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.acceptance.commands import wait_for
from tests.conftest import COMMITTED

HELD = "9000-01-01 00:00:00+00"


def worker(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id").fetchone()
    assert row
    return int(row[0])


def declare(conn: psycopg.Connection[Any], name: str, **rule: Any) -> None:
    columns = ", ".join(rule)
    values = ", ".join(f"%({key})s" for key in rule)
    conn.execute(
        f"INSERT INTO workrow.limit_rules (name, source, {columns}) VALUES (%(name)s, 'declared', {values})",  # type: ignore[arg-type]
        {"name": name, **rule},
    )


def put(
    conn: psycopg.Connection[Any],
    *buckets: str,
    n: int = 1,
    priority: int = 0,
    task: str = "t",
    lock: str | None = None,
) -> list[int]:
    line = json.dumps(["q", task, *buckets])
    rows = conn.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, line, scheduled_at)"
        " SELECT 'q', %s, %s, %s, %s, %s FROM generate_series(1, %s) RETURNING id",
        [task, priority, lock, line, HELD, n],
    ).fetchall()
    return [row[0] for row in rows]


def claim(conn: psycopg.Connection[Any], owner: int, limit: int = 100, tasks: list[str] | None = None) -> list[int]:
    conn.execute("SELECT workrow.call_lines_v1()")
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SELECT * FROM workrow.claim_limited_v1(%s, %s, NULL, %s)", [owner, tasks or ["t"], limit])
        return [row["id"] for row in cursor if row["id"] is not None]


def finish(conn: psycopg.Connection[Any], ids: list[int]) -> None:
    for id_ in ids:
        conn.execute("SELECT workrow.end_job_v1(%s, '{doing}', 'succeeded')", [id_])


def test_a_limit_holds_and_frees(conn: psycopg.Connection[Any]) -> None:
    owner = worker(conn)
    declare(conn, "t", max_running=3)
    ids = put(conn, "t", n=10)
    first = claim(conn, owner)
    assert first == ids[:3]
    assert claim(conn, owner) == []
    finish(conn, first[:2])
    assert claim(conn, owner) == ids[3:5]
    conn.execute("DELETE FROM procrastinate_jobs WHERE id = %s", [first[2]])
    assert claim(conn, owner) == ids[5:6]


def test_keys_take_turns(conn: psycopg.Connection[Any]) -> None:
    owner = worker(conn)
    declare(conn, "t/k", max_running=5)
    put(conn, "t/k=a", n=50)
    b = put(conn, "t/k=b", n=3)
    got = claim(conn, owner)
    assert len(got) == 8
    assert set(b) <= set(got)


def test_two_limits_both_hold_and_share_fairly(conn: psycopg.Connection[Any]) -> None:
    owner = worker(conn)
    declare(conn, "t", max_running=4)
    declare(conn, "t/k", max_running=3)
    a = put(conn, "t", "t/k=a", n=50)
    b = put(conn, "t", "t/k=b", n=50)
    got = claim(conn, owner)
    assert len(got) == 4
    assert len(set(got) & set(a)) == len(set(got) & set(b)) == 2
    finish(conn, got)
    for _ in range(5):
        got = claim(conn, owner)
        assert len(got) == 4
        finish(conn, got)


def test_a_rate_lets_its_burst_through_and_no_more(conn: psycopg.Connection[Any]) -> None:
    owner = worker(conn)
    declare(conn, "t", rate_count=10, rate_seconds=0.5, rate_burst=10)
    put(conn, "t", n=40)
    claimed: list[int] = []

    def all_claimed() -> bool:
        claimed.extend(claim(conn, owner))
        return len(claimed) == 40

    wait_for(all_claimed)
    # by the database's clock: this process may be told late
    window = "OVER (ORDER BY started_at RANGE BETWEEN CURRENT ROW AND INTERVAL '0.499999 s' FOLLOWING)"
    assert max(conn.execute(f"SELECT count(*) {window} FROM procrastinate_jobs").fetchall()) == (10,)  # type: ignore[arg-type]


def test_priority_and_lock_compose(conn: psycopg.Connection[Any]) -> None:
    owner = worker(conn)
    declare(conn, "t", max_running=2)
    put(conn, "t", n=3)
    locked = put(conn, "t", n=2, priority=5, lock="l")
    got = claim(conn, owner)
    assert got[0] == locked[0]
    got += claim(conn, owner)
    assert locked[1] not in got
    assert len(got) == 2


class TestNoCallIsLost:
    """A claim that blocks a line on a full bucket, and a call that frees the bucket, in the same moment."""

    @pytest.fixture
    def other(self, database_url: str, conn: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
        conn.execute("SET default_transaction_isolation = 'read committed'")  # as workers, who call, have it
        with psycopg.connect(database_url, options=COMMITTED) as connection, ThreadPoolExecutor(1) as thread:
            self.thread = thread
            yield connection

    @contextmanager
    def calling(self, conn: psycopg.Connection[Any]) -> Iterator[None]:
        """A call begins before the block, and ends after it."""
        pid = conn.info.backend_pid
        call = self.thread.submit(conn.execute, "SELECT workrow.call_lines_v1()")
        with psycopg.connect(conn.info.dsn, autocommit=True) as watcher:
            wait_for(
                lambda: (
                    call.done() or watcher.execute("SELECT cardinality(pg_blocking_pids(%s))", [pid]).fetchone() != (0,)
                )
            )
        yield
        call.result(timeout=10)

    def test_a_slot_is_given_back_while_a_claim_blocks(self, conn: Any, other: Any) -> None:
        owner = worker(conn)
        declare(conn, "t", max_running=1)
        first, second = put(conn, "t", n=2)
        assert claim(conn, owner) == [first]
        conn.execute("UPDATE workrow.lines SET blocked_on = NULL, wake_at = NULL")
        assert claim(other, owner) == []  # it blocks the line, and is not committed
        finish(conn, [first])
        with self.calling(conn):
            other.commit()
        assert claim(conn, owner) == [second]

    def test_a_limit_is_raised_while_a_claim_blocks(self, conn: Any, other: Any) -> None:
        owner = worker(conn)
        declare(conn, "t", max_running=1)
        first, second = put(conn, "t", n=2)
        assert claim(conn, owner) == [first]
        conn.execute("UPDATE workrow.lines SET blocked_on = NULL, wake_at = NULL")
        assert claim(other, owner) == []
        conn.execute("SELECT workrow.set_limit_v1('t', max_running => 2)")
        with self.calling(conn):
            other.commit()
        assert claim(conn, owner) == [second]

    @pytest.mark.parametrize("priority", [0, 5])
    def test_a_slot_is_given_back_while_jobs_arrive(self, conn: Any, other: Any, priority: int) -> None:
        owner = worker(conn)
        declare(conn, "t", max_running=1)
        (first,) = put(conn, "t")
        assert claim(conn, owner) == [first]
        second = put(conn, "t", n=3)[0]
        assert claim(conn, owner) == []
        more = put(conn, "t", priority=priority)
        other.execute("SELECT workrow.call_lines_v1()")  # it takes the arrival, and is not committed
        finish(conn, [first])
        conn.execute("SET lock_timeout = '5s'")
        conn.execute("SELECT workrow.call_lines_v1()")
        other.commit()
        assert claim(conn, owner) == (more if priority else [second])

    def test_a_job_is_due_while_its_line_loses_its_last_one(self, conn: Any, other: Any) -> None:
        owner = worker(conn)
        declare(conn, "t", max_running=5)
        (first,) = put(conn, "t")
        second, later = put(conn, "t", n=2)
        assert claim(conn, owner, limit=1) == [first]
        conn.execute("DELETE FROM procrastinate_jobs WHERE id = %s", [second])
        conn.execute("UPDATE procrastinate_jobs SET due_at = clock_timestamp() WHERE id = %s", [later])
        conn.execute("UPDATE workrow.lines SET blocked_on = 't'")
        other.execute("SELECT workrow.call_lines_v1()")  # the job is ready, and nobody can see it yet
        finish(conn, [first])
        assert claim(conn, owner) == []
        other.commit()
        assert claim(conn, owner) == [later]


def test_who_waits_for_a_lock_is_called_when_the_job_ends(conn: psycopg.Connection[Any]) -> None:
    owner = worker(conn)
    declare(conn, "t", max_running=5)
    first, second = put(conn, "t", n=2, lock="one")
    assert claim(conn, owner) == [first]
    assert claim(conn, owner) == []
    # not for the time to be over, which comes for locks of others' jobs
    conn.execute("UPDATE workrow.lines SET wake_at = clock_timestamp() + interval '1 min'")
    finish(conn, [first])
    assert claim(conn, owner) == [second]


def blocks(conn: psycopg.Connection[Any], statement: str, *params: object) -> int:
    """How many pages a statement looks at, with all that its functions do."""
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
    row = conn.execute(explain, params).fetchone()  # type: ignore[arg-type]
    assert row
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


def test_the_cost_follows_the_keys_that_can_run(conn: psycopg.Connection[Any]) -> None:
    """Not those that are blocked, nor how long their lines are."""
    owner = worker(conn)
    declare(conn, "t/k", max_running=5)
    found: list[tuple[int, int]] = []
    for first, last in ((1, 100), (101, 20_000)):
        # each key that is blocked has five jobs and a slot that is taken
        conn.execute(
            """INSERT INTO procrastinate_jobs (queue_name, task_name, line, scheduled_at)
               SELECT 'q', 't', json_build_array('q', 't', 't/k=' || n), %s
               FROM generate_series(%s::integer, %s::integer) AS n, generate_series(1, 5)""",
            [HELD, first, last],
        )
        conn.execute("TRUNCATE workrow.line_arrivals")
        conn.execute(
            """INSERT INTO workrow.lines (line, queue_name, task_name, buckets, priority, turn, blocked_on, wake_at)
               SELECT
                   json_build_array('q', 't', 't/k=' || n), 'q', 't', ARRAY['t/k=' || n], 0, 0, 't/k=' || n,
                   now() + interval '1 hour'
               FROM generate_series(%s::integer, %s::integer) AS n""",
            [first, last],
        )
        for key in range(20):
            put(conn, f"t/k=free {first} {key}", n=5)
        conn.execute("VACUUM ANALYZE")
        called = blocks(conn, "SELECT workrow.call_lines_v1()")
        claimed = blocks(conn, "SELECT * FROM workrow.claim_limited_v1(%s, '{t}', NULL, 20)", owner)
        found.append((called, claimed))
        running = conn.execute("SELECT id FROM procrastinate_jobs WHERE status = 'doing'").fetchall()
        assert len(running) == 20
        conn.execute("DELETE FROM procrastinate_jobs WHERE status = 'doing' OR line LIKE '%%free%%'")
    (few_called, few_claimed), (many_called, many_claimed) = found
    # an index over 200 times as many rows is a level or two deeper
    assert many_called < 2 * few_called + 100, found
    assert many_claimed < 2 * few_claimed + 100, found
