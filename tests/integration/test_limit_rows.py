"""Limits in SQL: what a claim admits, line by line."""

import json
import time
from typing import Any

import psycopg
from psycopg.rows import dict_row

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
    starts: list[float] = []
    began = time.monotonic()
    while len(starts) < 40 and time.monotonic() - began < 5:
        starts += [time.monotonic()] * len(claim(conn, owner))
    assert len(starts) == 40
    for start in starts:
        assert len([each for each in starts if start <= each < start + 0.49]) <= 10
    assert 1.4 < starts[-1] - starts[0] < 2.0


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
