"""Rescuers beside each other, and beside workers that claim what was just given back."""

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from workrow import sql
from workrow.database.link import Link
from workrow.maintenance.rescuer import Rescuer

pytestmark = pytest.mark.timed

RESCUE = "SELECT job_id FROM workrow.rescue_jobs_v1(3, 1000)"
WAITS = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def register(conn: Any, name: str, lease: float = 20.0) -> int:
    described = {"host": "h", "pid": 1, "queues": None, "concurrency": 1, "version": "x", "lease": lease}
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


class TestWatching:
    """What a rescuer takes for dead. Its own clock is real: leases are short."""

    @pytest.fixture
    async def rescuer(self, database_url: str) -> AsyncIterator[Rescuer]:
        async def connect() -> psycopg.AsyncConnection:
            return await psycopg.AsyncConnection.connect(database_url, autocommit=True)

        link = Link(connect)
        yield Rescuer(link.run, 0.4, 3, lambda: math.inf)
        await link.close()

    async def test_a_heartbeat_that_changes_is_life_whatever_it_says(self, rescuer: Rescuer, conn: Any) -> None:
        living, dead = register(conn, "living", 0.4), register(conn, "dead", 0.4)
        conn.execute("UPDATE procrastinate_workers SET last_heartbeat = now() + interval '1 h'")
        looks = 0
        while dead in workers(conn):
            conn.execute(
                "UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - interval '1 h' WHERE id = %s",
                [living],
            )
            await asyncio.sleep(min(0.1, await rescuer.run_once()))
            looks += 1
            assert looks < 20
        assert looks > 4
        assert workers(conn) == [living]

    async def test_who_was_stopped_itself_has_watched_nobody(self, rescuer: Rescuer, conn: Any) -> None:
        register(conn, "as stopped as we were", 0.4)
        await rescuer.run_once()
        await asyncio.sleep(0.8)
        await rescuer.run_once()
        assert len(workers(conn)) == 1

    async def test_who_beats_between_the_look_and_the_rescue_lives(self, database_url: str, conn: Any) -> None:
        late = register(conn, "late", 0.4)
        seen = conn.execute("SELECT extract(EPOCH FROM last_heartbeat)::float8 FROM procrastinate_workers").fetchone()[
            0
        ]
        conn.execute(sql.load("update_heartbeat"), {"worker_id": late, "refused": 0, "stopping": False})
        conn.execute("SELECT * FROM workrow.rescue_jobs_v2(%s, %s, '{}', '{}')", [[late], [seen]])
        assert workers(conn) == [late]

    async def test_who_is_known_to_be_dead_is_not_waited_for(self, rescuer: Rescuer, conn: Any) -> None:
        register(conn, "buried")
        conn.execute(sql.load("bury_worker"), {"cause": "signal 9", "host": "h", "pid": 1, "name": "buried"})
        await rescuer.run_once()
        assert workers(conn) == []

    @pytest.mark.parametrize("stopping", [False, True])
    async def test_a_worker_that_had_said_that_it_stops_makes_no_suspects(
        self, rescuer: Rescuer, conn: Any, stopping: bool
    ) -> None:
        dead = register(conn, "dead")
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 't')")
        conn.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s, claims = 1, marked = 1, crashes = 2",
            [dead],
        )
        conn.execute(sql.load("update_heartbeat"), {"worker_id": dead, "refused": 0, "stopping": stopping})
        conn.execute("UPDATE procrastinate_workers SET last_heartbeat = '-infinity'")
        await rescuer.run_once()
        state = conn.execute("SELECT status::text, crashes, quarantine IS NOT NULL FROM workrow.jobs").fetchone()
        assert state == (("todo", 2, False) if stopping else ("failed", 3, True))


def workers(conn: Any) -> list[int]:
    return [id_ for (id_,) in conn.execute("SELECT id FROM procrastinate_workers ORDER BY id")]


def test_a_stock_worker_prunes_its_own_kind_only(conn: Any) -> None:
    ours = register(conn, "ours")
    stock = conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id").fetchone()[0]
    conn.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 h'")
    assert conn.execute("SELECT procrastinate_prune_stalled_workers_v1(30)").fetchall() == [(stock,)]
    assert workers(conn) == [ours]
