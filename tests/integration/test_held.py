"""What an open transaction of a service holds stops nobody but who needs it."""

import asyncio
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_heart import Running, until
from workrow.database.connector import Connector
from workrow.database.given import pool_of
from workrow.database.held import PATIENCE_MS, Held, run_bounded
from workrow.database.link import Link, connect
from workrow.maintenance.rescuer import Rescuer
from workrow.worker.living import stopping

pytestmark = pytest.mark.timed

HELD = 40
SECONDS = HELD * PATIENCE_MS / 1000
"""How late an end may be written while others' transactions are open: who waited for each of them would be later."""


@pytest.fixture
def service(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection whose transaction stays open until the test commits it."""
    with psycopg.connect(database_url) as connection:
        yield connection
        connection.rollback()


def done(conn: Any, ids: list[int]) -> bool:
    ((left,),) = conn.execute("SELECT count(*) FROM procrastinate_jobs WHERE id = ANY(%s)", [ids]).fetchall()
    return bool(left == 0)


async def slowest(conn: Any, app: workrow.App, batches: int = 20) -> float:
    """Seconds from an enqueue to the last end of ten jobs, in the worst of so many batches."""
    worst = 0.0
    for _ in range(batches):
        began = time.monotonic()
        jobs = await app.tasks["plain"].enqueue_many(None, [{}] * 10)  # type: ignore[attr-defined]
        await until(lambda jobs=jobs: done(conn, [job.id for job in jobs]))  # type: ignore[misc]
        worst = max(worst, time.monotonic() - began)
    return worst


@pytest.fixture
def plain(open_app: workrow.App) -> workrow.App:
    @open_app.task(name="plain")
    async def plain() -> None: ...

    return open_app


@pytest.mark.parametrize("pooled", [False, True])
async def test_no_statement_of_a_worker_waits_for_long(
    pooled: bool, conn: Any, service: psycopg.Connection, database_url: str
) -> None:
    connector = Connector(database_url)
    await connector.open_async()
    link = Link(lambda: connect(connector))
    await link.run("database_time")
    link._pooled = pooled
    if pooled:  # a pooler's other server process has not heard of what the session was told
        assert link._connection is not None
        await link._connection.execute("RESET lock_timeout")
    service.execute("INSERT INTO workrow.queue_names VALUES ('tenant-17')")
    began = time.monotonic()
    with pytest.raises(Held):
        await link.run("note_queues", names=["tenant-17"])
    assert PATIENCE_MS / 1000 <= time.monotonic() - began < 10 * PATIENCE_MS / 1000
    connection = link._connection
    service.commit()
    assert await link.run("note_queues", names=["tenant-17", "new"]) == [("new",)]
    assert link._connection is connection
    await link.close()
    await connector.close_async()


async def test_jobs_whose_rows_are_held_end_later_and_the_others_at_once(
    plain: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    go = asyncio.Event()

    @plain.task(name="slow")
    async def slow() -> None:
        await go.wait()

    async with Running(plain, concurrency=100):
        held = [job.id for job in await slow.enqueue_many(None, [{}] * HELD)]
        doing = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'"
        await until(lambda: conn.execute(doing).fetchall() == [(HELD,)])
        service.execute("UPDATE procrastinate_jobs SET abort_requested = true WHERE id = ANY(%s)", [held])
        go.set()
        assert await slowest(conn, plain) < SECONDS
        assert not done(conn, held)
        service.rollback()
        await until(lambda: done(conn, held))
    assert conn.execute("SELECT DISTINCT status FROM workrow.history WHERE id = ANY(%s)", [held]).fetchall() == [
        ("succeeded",)
    ]


async def test_a_stop_with_a_grace_leaves_what_is_held_to_others(
    plain: workrow.App, conn: Any, service: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "GOODBYE_SECONDS", 0.5)
    plain._lease = 2
    started, runs = asyncio.Event(), 0

    @plain.task(name="short")
    async def short() -> None:
        nonlocal runs
        runs += 1
        started.set()
        await asyncio.sleep(0.1)

    job = await short.enqueue(None)
    async with asyncio.timeout(5):
        async with Running(plain, shutdown_graceful_timeout=0.2):
            await started.wait()
            service.execute("UPDATE procrastinate_jobs SET abort_requested = true WHERE id = %s", [job.id])
    assert not done(conn, [job.id])
    assert "Finisher.drained" not in [task.get_coro().__qualname__ for task in asyncio.all_tasks()]  # type: ignore[union-attr]
    service.rollback()
    async with Running(plain):
        await until(lambda: done(conn, [job.id]), 20)
    assert runs == 2
    # a stop is no crash
    assert conn.execute("SELECT crashes FROM workrow.history").fetchall() == [(0,)]


async def test_retries_under_held_keys_wait_alone(plain: workrow.App, conn: Any, service: psycopg.Connection) -> None:
    go = asyncio.Event()

    @plain.task(name="failing", retry=workrow.Retry(max_attempts=2, wait=3600))
    async def failing() -> None:
        await go.wait()
        raise ValueError

    async with Running(plain, concurrency=100):
        held = [(await failing.options(queueing_lock=f"K{n}").enqueue(None)).id for n in range(HELD)]
        doing = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'"
        await until(lambda: conn.execute(doing).fetchall() == [(HELD,)])
        service.execute(
            """INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, scheduled_at)
               SELECT 'default', 'plain', 'K' || n, '9000-01-01' FROM generate_series(0, %s) AS n""",
            [HELD - 1],
        )
        go.set()
        assert await slowest(conn, plain) < SECONDS
        assert conn.execute(doing).fetchall() == [(HELD,)]
        service.rollback()
        waiting = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo' AND id = ANY(%s)"
        await until(lambda: conn.execute(waiting, [held]).fetchall() == [(HELD,)])


async def test_a_name_of_a_queue_that_is_held_stops_no_claim(
    plain: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    service.execute("INSERT INTO workrow.queue_names VALUES ('tenant-17')")
    async with Running(plain, concurrency=10):
        tenants = await plain.tasks["plain"].options(queue="tenant-17").enqueue_many(None, [{}])  # type: ignore[attr-defined]
        await until(lambda: done(conn, [job.id for job in tenants]))
        assert await slowest(conn, plain) < SECONDS


def held(conn: Any) -> set[tuple[str, str, int | None, str]]:
    query = "SELECT kind, name, pid, query FROM workrow.held WHERE since < clock_timestamp()"
    return set(conn.execute(query).fetchall())


async def test_what_is_set_aside_is_shown_with_who_holds_it(
    plain: workrow.App, conn: Any, service: psycopg.Connection, database_url: str
) -> None:
    go = asyncio.Event()

    @plain.task(name="failing", retry=workrow.Retry(max_attempts=2, wait=3600))
    async def failing() -> None:
        await go.wait()
        raise ValueError

    with psycopg.connect(database_url) as debugger, psycopg.connect(database_url) as importer:
        async with Running(plain, concurrency=100):
            jobs = [await failing.options(queueing_lock=key).enqueue(None) for key in ("A", "B")]
            row = await failing.enqueue(None)
            doing = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'"
            await until(lambda: conn.execute(doing).fetchall() == [(3,)])
            assert held(conn) == set()
            queries = []
            for connection, key in ((service, "A"), (importer, "B")):
                queries.append(
                    f"""INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, scheduled_at)
                        VALUES ('default', 'plain', '{key}', '9000-01-01')"""
                )
                connection.execute(queries[-1].encode())
            queries.append(f"SELECT FROM procrastinate_jobs WHERE id = {row.id} FOR UPDATE")
            debugger.execute(queries[-1].encode())
            go.set()
            pids = [connection.info.backend_pid for connection in (service, importer, debugger)]
            ids = [str(job.id) for job in (*jobs, row)]
            # a statement is shown without the values in it
            texts = [re.sub("'[^']*'", "'...'", query) for query in queries]
            shown = {("job", name, pid, text) for name, pid, text in zip(ids, pids, texts, strict=True)}
            await until(lambda: held(conn) == shown)
            for connection in (service, importer, debugger):
                connection.rollback()
            await until(lambda: conn.execute(doing).fetchall() == [(0,)])
            await until(lambda: conn.execute("SELECT FROM workrow.held_rows").fetchall() == [])
            assert held(conn) == set()


async def test_names_of_queues_and_rows_that_are_held_are_shown(
    plain: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    await plain.schedules.create_async("s", "plain", every=timedelta(hours=1))
    conn.execute("UPDATE workrow.timetable SET next_due = now()")
    service.execute("INSERT INTO workrow.queue_names VALUES ('tenant-17')")
    service.execute("SELECT FROM workrow.timetable WHERE name = 's' FOR UPDATE")
    await plain.tasks["plain"].options(queue="tenant-17").enqueue_many(None, [{}])  # type: ignore[attr-defined]
    pid = service.info.backend_pid
    async with Running(plain, concurrency=10):
        await until(lambda: {row[:3] for row in held(conn)} == {("queue", "tenant-17", pid), ("schedule", "s", pid)})


async def test_rescue_leaves_out_jobs_whose_queueing_locks_are_held(
    conn: Any, service: psycopg.Connection, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    conn.execute(
        """INSERT INTO procrastinate_workers (id) OVERRIDING SYSTEM VALUE VALUES (999);
           INSERT INTO workrow.sleepers (worker_id) VALUES (999);
           INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id, queueing_lock)
           SELECT 'default', 't', 'doing', 999, CASE WHEN n <= 20 THEN 'K' || n END FROM generate_series(1, 25) AS n"""
    )
    service.execute(
        """INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, scheduled_at)
           SELECT 'default', 'theirs', 'K' || n, '9000-01-01' FROM generate_series(1, 20) AS n"""
    )
    service.execute("SELECT FROM workrow.sleepers FOR UPDATE")
    conn.execute("UPDATE procrastinate_workers SET last_heartbeat = '-infinity'")
    todo = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo' AND task_name = 't'"
    connector = Connector(database_url)
    await connector.open_async()
    link = Link(lambda: connect(connector))
    rescuer = Rescuer(link.run, 20.0, 3, lambda: 99.0)
    with caplog.at_level("INFO"):
        began = time.monotonic()
        await rescuer.run_once()
        assert time.monotonic() - began < 20 * PATIENCE_MS / 1000
    assert conn.execute(todo).fetchone() == (5,)
    assert [each.levelname for each in caplog.records if "rescue waits" in each.message] == ["INFO"] * 20
    assert await link.run("read_uptime")
    service.rollback()
    await rescuer.run_once()
    assert conn.execute(todo).fetchone() == (25,)
    assert conn.execute("SELECT count(*) FROM procrastinate_workers").fetchone() == (0,)
    await link.close()
    await connector.close_async()


async def test_a_bounded_statement_ends_without_the_event_loop(open_app: workrow.App, conn: Any) -> None:
    """However large: libpq sends what is more than 64 KB before the end of a pipeline."""
    pool = await pool_of(open_app.connector)
    statement = "SELECT pg_advisory_xact_lock(7) WHERE length(%(text)s) > 0"
    for _ in range(10):
        running = asyncio.create_task(run_bounded(pool, statement, {"text": "x" * 1_000_000}))
        while not running.done():
            time.sleep(0.05)  # noqa: ASYNC251  a task blocks the loop; the server does what it has been sent
            held = conn.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7").fetchone()
            assert held == (0,)
            await asyncio.sleep(0)
        assert len(await running) == 1
