"""A stale job is never started, by whomever, and does not wait for ever."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_limit_rows import blocks
from tests.integration.test_pauses import drained, running, until
from workrow.maintenance.expirer import Expirer


@pytest.fixture
def ran(open_app: workrow.App) -> list[int]:
    done: list[int] = []

    @open_app.task(name="note", expires=60)
    async def note(n: int) -> None:
        done.append(n)

    return done


def lifetime(conn: psycopg.Connection[Any], job_id: int) -> Any:
    row = conn.execute(
        "SELECT extract(EPOCH FROM expires_at - clock_timestamp())::float FROM procrastinate_jobs WHERE id = %s",
        [job_id],
    ).fetchone()
    assert row
    return row[0]


def age(conn: psycopg.Connection[Any]) -> None:
    conn.execute("UPDATE procrastinate_jobs SET expires_at = clock_timestamp() - INTERVAL '1 ms'")


def ends(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT id, status, attempts, error_type FROM workrow.jobs ORDER BY id").fetchall()


async def test_the_time_counts_from_when_a_job_may_start(open_app: Any, ran: Any, conn: Any) -> None:
    note = open_app.tasks["note"]
    now = await note.enqueue(None, n=1)
    assert 59 < lifetime(conn, now.id) <= 60
    later = note.options(delay=3600).delay(n=2)
    assert 3659 < lifetime(conn, later.id) <= 3660
    at = note.options(expires=datetime.now(UTC) + timedelta(hours=2)).enqueue(conn, n=3)
    assert 7195 < lifetime(conn, at.id) <= 7200
    assert 4 < lifetime(conn, note.apply_async(kwargs={"n": 4}, expires=5).id) <= 5
    plain = note.options(expires=None).enqueue(conn, n=5)
    assert lifetime(conn, plain.id) is None


@pytest.mark.parametrize("lock", [None, "a lock"])
async def test_a_worker_ends_a_stale_job_without_running_it(lock: Any, open_app: Any, ran: Any, conn: Any) -> None:
    job = await open_app.tasks["note"].options(lock=lock).enqueue(None, n=1)
    age(conn)
    fresh = await open_app.tasks["note"].options(lock=lock).enqueue(None, n=2)
    await drained(open_app)
    assert ran == [2]
    assert ends(conn) == [(job.id, "cancelled", 0, "workrow.Expired"), (fresh.id, "succeeded", 1, None)]
    with pytest.raises(workrow.JobCancelled):
        await job.result(timeout=5)


async def test_a_job_that_gets_stale_in_the_worker_is_not_started(open_app: Any, ran: Any, conn: Any) -> None:
    release = asyncio.Event()
    started = asyncio.Event()

    @open_app.task(name="first", priority=5)
    async def first() -> None:
        started.set()
        await release.wait()

    await first.enqueue(None)
    async with running(open_app, concurrency=1):
        await started.wait()
        job = await open_app.tasks["note"].options(expires=0.2).enqueue(None, n=1)
        await asyncio.sleep(0.3)
        release.set()
        await until(lambda: conn.execute("SELECT count(*) FROM workrow.history").fetchone() == (2,))
    assert ran == []
    assert (job.id, "cancelled", 0, "workrow.Expired") in ends(conn)


async def test_the_sweep_ends_what_nobody_asks_for(open_app: Any, ran: Any, conn: Any) -> None:
    jobs = await open_app.tasks["note"].options(delay=1).enqueue_many(None, [{"n": n} for n in range(3)])
    conn.execute("UPDATE procrastinate_jobs SET expires_at = now() - INTERVAL '1 s' WHERE id < %s", [jobs[2].id])

    async def run(statement: str, **params: Any) -> list[tuple[Any, ...]]:
        return conn.execute(workrow.sql.load(statement), params).fetchall()  # type: ignore[attr-defined]

    await Expirer(run).run_once()
    assert [row[1] for row in ends(conn)] == ["cancelled", "cancelled", "todo"]
    async with running(open_app):  # the worker has such a loop
        age(conn)
        await until(lambda: conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,))


async def test_a_retry_that_comes_too_late_does_not_run(open_app: Any, conn: Any) -> None:
    attempts: list[int] = []

    @open_app.task(name="flaky", expires=60, retry=workrow.Retry(max_attempts=3, wait=workrow.exponential(0.01)))
    async def flaky() -> None:
        attempts.append(1)
        age(conn)
        raise ValueError("no")

    await flaky.enqueue(None)
    async with running(open_app):
        await until(lambda: conn.execute("SELECT count(*) FROM workrow.history").fetchone() == (1,))
    assert attempts == [1]
    row = conn.execute("SELECT status, attempts, jsonb_array_length(errors) FROM workrow.jobs").fetchone()
    assert row == ("cancelled", 1, 2)


def test_the_sweep_looks_at_nothing_that_is_not_over(conn: psycopg.Connection[Any]) -> None:
    found: list[int] = []
    for rows in (100, 20_000):
        conn.execute(
            """INSERT INTO procrastinate_jobs (queue_name, task_name, expires_at)
               SELECT 'q', 't', now() + n * INTERVAL '1 min' FROM generate_series(1, %s) AS n""",
            [rows],
        )
        conn.execute(
            """INSERT INTO workrow.throttles (key, taken, over_at)
               SELECT %s || ' ' || n, '{}', now() + n * INTERVAL '1 min' FROM generate_series(1, %s) AS n""",
            [str(rows), rows],
        )
        conn.execute("VACUUM ANALYZE")
        found.append(blocks(conn, "SELECT workrow.sweep_expired_v1()"))
    few, many = found
    assert many < 2 * few + 50, found
