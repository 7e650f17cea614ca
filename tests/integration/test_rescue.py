"""Rescuers beside each other, and beside workers that claim what was just given back."""

import threading
import time
from typing import Any

import psycopg
import pytest

from workrow import sql

RESCUE = "SELECT job_id FROM workrow.rescue_jobs_v1(3, 1000)"
WAITS = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def register(conn: Any, name: str) -> int:
    described = {"host": "h", "pid": 1, "queues": None, "concurrency": 1, "version": "x", "lease": 20.0}
    return int(conn.execute(sql.load("register_worker"), {"name": name, "tasks": ["t"], **described}).fetchone()[0])


@pytest.mark.parametrize("holder", ["gone", "nobody"])
@pytest.mark.parametrize("successor", ["a worker", "a new worker", "nobody"])
def test_a_rescuer_with_an_old_snapshot_takes_nothing_from_a_living_holder(
    conn: Any, database_url: str, holder: str, successor: str
) -> None:
    living = register(conn, "living")
    conn.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock)"
        " SELECT 'default', 't', CASE WHEN n = 1 THEN 'K' END FROM generate_series(1, 20) AS n"
    )
    conn.execute(
        "UPDATE procrastinate_jobs"
        " SET status = 'doing', worker_id = %s, claims = 1, started_at = now() - interval '1 min'",
        [999 if holder == "gone" else None],
    )
    found: list[int] = []

    def rescue_late() -> None:
        with psycopg.connect(database_url, autocommit=True) as late:
            found.extend(job_id for (job_id,) in late.execute(RESCUE))

    thread = threading.Thread(target=rescue_late)
    with psycopg.connect(database_url) as user:
        # what it locks first, and cannot give back: it stays in the middle of its loop
        user.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock) VALUES ('default', 't', 'K')"
        )
        thread.start()
        deadline = time.monotonic() + 10
        while not conn.execute(WAITS).fetchone()[0]:
            assert time.monotonic() < deadline
        first = {job_id for (job_id,) in conn.execute(RESCUE)}
        assert first
        if successor == "a new worker":
            living = register(conn, "new")
        conn.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s, claims = claims + 1, started_at = now()"
            " WHERE id = ANY(%s)",
            [None if successor == "nobody" else living, list(first)],
        )
        user.rollback()
        thread.join(20)
    assert len(found) == 20 - len(first)
    assert not first & set(found)
    states = "SELECT DISTINCT status::text, crashes FROM procrastinate_jobs WHERE id = ANY(%s)"
    assert conn.execute(states, [list(first)]).fetchall() == [("doing", 1)]
