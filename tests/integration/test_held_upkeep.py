"""What an open transaction of a service holds stops no upkeep but that of what it holds."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_heart import until
from tests.integration.test_held import SECONDS, service
from tests.integration.test_scheduler import worker
from workrow.maintenance.historian import AFTER_ERROR, INTERVAL, Historian

pytestmark = pytest.mark.timed

__all__ = ["service"]

MANY = 20
OLD = timedelta(days=30)


def historian(app: workrow.App) -> Historian:
    return Historian(app.connector, OLD, app.declare_held_caps)


def count(conn: Any, query: str) -> int:
    return int(conn.execute(f"SELECT count(*) FROM {query}").fetchone()[0])


@pytest.fixture
def finished(conn: Any) -> None:
    """Rows that stock code left finished, in queues that nobody has noted."""
    conn.execute(
        """INSERT INTO procrastinate_jobs (queue_name, task_name, status)
           SELECT 'q' || n, 't', 'succeeded' FROM generate_series(1, 2 * %s) AS n""",
        [MANY],
    )


@pytest.mark.usefixtures("finished")
async def test_what_stock_workers_left_is_moved_but_for_what_is_held(
    open_app: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    service.execute("SELECT FROM procrastinate_jobs WHERE substr(queue_name, 2)::int <= %s FOR UPDATE", [MANY])
    service.execute("INSERT INTO workrow.queue_names SELECT queue_name FROM procrastinate_jobs")
    began = time.monotonic()
    await historian(open_app).run_once()
    assert time.monotonic() - began < SECONDS
    assert (count(conn, "procrastinate_jobs"), count(conn, "workrow.history")) == (MANY, MANY)
    service.rollback()
    await historian(open_app).run_once()
    assert (count(conn, "procrastinate_jobs"), count(conn, "workrow.history")) == (0, 2 * MANY)
    # those whose names were held when they went are noted by the next that ends there
    assert count(conn, "workrow.queue_names") == MANY


async def test_stale_jobs_end_but_for_those_that_are_held(
    open_app: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    conn.execute(
        """INSERT INTO procrastinate_jobs (queue_name, task_name, expires_at)
           SELECT 'new', 't', now() - interval '1 s' FROM generate_series(1, 200) AS n"""
    )
    conn.execute(
        "INSERT INTO workrow.throttles (key, taken, over_at) SELECT n, '{}', now() FROM generate_series(1, 9) AS n"
    )
    service.execute("SELECT workrow.cancel_job_v1(id) FROM (SELECT id FROM procrastinate_jobs LIMIT %s) AS few", [MANY])
    service.execute("SELECT FROM workrow.throttles WHERE key < '4' FOR UPDATE")
    began = time.monotonic()
    assert conn.execute("SELECT workrow.sweep_expired_v1()").fetchone() == (200 - MANY,)
    assert time.monotonic() - began < SECONDS
    assert count(conn, "workrow.throttles") == 3
    service.commit()
    assert count(conn, "workrow.history") == 200
    assert count(conn, "workrow.queue_names") == 1


def test_stale_nodes_end_but_for_one_whose_next_key_is_held(conn: Any, service: psycopg.Connection) -> None:
    app = workrow.App("postgresql:///nowhere")

    @app.task(name="t")
    async def t() -> None: ...

    for key in ("held", None):
        first = t.options(expires=timedelta(hours=1)).si()
        workrow.chain(first, t.options(queueing_lock=key).si()).if_failed("continue").enqueue(conn)
    conn.execute("UPDATE procrastinate_jobs SET expires_at = now()")
    t.options(queueing_lock="held").enqueue(service)
    conn.execute("SET lock_timeout = 100")
    assert conn.execute("SELECT workrow.sweep_expired_v1()").fetchone() == (1,)
    service.rollback()
    assert conn.execute("SELECT workrow.sweep_expired_v1()").fetchone() == (1,)
    assert count(conn, "workrow.flow_nodes WHERE state = 'enqueued'") == 2


def test_ends_of_stock_workers_are_swept_but_for_a_node_whose_next_key_is_held(
    conn: Any, service: psycopg.Connection
) -> None:
    app = workrow.App("postgresql:///nowhere")

    @app.task(name="t")
    async def t() -> None: ...

    for key in ("held", None):
        workrow.chain(t.si(), t.options(queueing_lock=key).si()).enqueue(conn)
    t.enqueue(conn)
    conn.execute("UPDATE procrastinate_jobs SET status = 'succeeded'")
    t.options(queueing_lock="held").enqueue(service)
    conn.execute("SET lock_timeout = 100")
    assert conn.execute("SELECT workrow.sweep_finished_v1()").fetchone() == (2,)
    service.rollback()
    assert conn.execute("SELECT workrow.sweep_finished_v1()").fetchone() == (1,)
    assert count(conn, "workrow.flow_nodes WHERE state = 'enqueued'") == 2


async def test_a_user_who_cancels_does_not_wait_for_another(conn: Any, service: psycopg.Connection) -> None:
    query = "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('new', 't'), ('new', 't') RETURNING id"
    first, second = (row[0] for row in conn.execute(query).fetchall())
    service.execute("SELECT workrow.cancel_job_v1(%s)", [first])
    conn.execute("SET statement_timeout = '1s'")
    assert conn.execute("SELECT workrow.cancel_job_v1(%s)", [second]).fetchone() == ("cancelled",)
    service.rollback()
    assert conn.execute("SELECT workrow.cancel_job_v1(%s)", [first]).fetchone() == ("cancelled",)
    assert count(conn, "workrow.queue_names") == 1


async def test_old_history_is_dropped_but_for_what_is_held(
    open_app: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    for day in (1, 2, 3):
        conn.execute(
            f"""CREATE TABLE workrow.history_2030010{day} PARTITION OF workrow.history
                FOR VALUES FROM ('2030-01-0{day}') TO ('2030-01-0{day + 1}')"""
        )
    # by the names of the partitions: who reads all of the history stops all of this, as long as they read
    service.execute("SELECT FROM workrow.history_20300102")
    days = "pg_tables WHERE tablename LIKE 'history_203001%'"
    assert conn.execute("SELECT workrow.prune_history_v1('-10 years')").fetchone()[0] >= 2
    assert count(conn, days) == 1
    service.rollback()
    assert conn.execute("SELECT workrow.prune_history_v1('-10 years')").fetchone() == (1,)
    assert count(conn, days) == 0
    conn.execute("SELECT workrow.extend_history_v1()")


def test_old_rows_of_no_day_go_but_for_those_that_are_held(conn: Any, service: psycopg.Connection) -> None:
    columns = "id, queue_name, task_name, priority, args, status, attempts, finished_at"
    conn.execute(
        f"""INSERT INTO workrow.history ({columns})
            SELECT n, 'q', 't', 0, '{{}}', 'succeeded', 1, '2031-01-01' FROM generate_series(1, 2 * %s) AS n""",
        [MANY],
    )
    service.execute("SELECT FROM workrow.history_default WHERE id <= %s FOR UPDATE", [MANY])
    assert conn.execute("SELECT workrow.prune_history_v1('-10 years')").fetchone() == (0,)
    assert count(conn, "workrow.history") == MANY
    service.rollback()
    conn.execute("SELECT workrow.prune_history_v1('-10 years')")
    assert count(conn, "workrow.history") == 0
    conn.execute("SELECT workrow.extend_history_v1()")


@pytest.mark.usefixtures("finished")
async def test_what_is_held_as_a_whole_keeps_no_other_part(
    open_app: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    service.execute("LOCK TABLE workrow.limit_buckets")
    service.execute("SELECT FROM workrow.history")
    began = time.monotonic()
    assert await historian(open_app).run_once() == AFTER_ERROR
    assert time.monotonic() - began < SECONDS
    assert count(conn, "procrastinate_jobs") == 0
    service.rollback()
    assert await historian(open_app).run_once() == INTERVAL


async def test_a_worker_starts_while_a_cap_is_held(
    open_app: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    for queue in ("a", "b", "c"):
        open_app.queue(queue, max_depth=5)
    service.execute("SELECT workrow.set_queue_v1('b', 10)")
    caps = "SELECT queue_name FROM workrow.queue_caps WHERE declared_depth = 5 ORDER BY 1"
    async with worker(open_app, wait=False):
        await until(lambda: conn.execute(caps).fetchall() == [("a",), ("c",)])
        async with asyncio.timeout(10):  # the worker may be at it in this moment
            while await open_app.declare_held_caps():
                await asyncio.sleep(0.01)
            service.commit()
            while not await open_app.declare_held_caps():
                await asyncio.sleep(0.01)
    assert conn.execute(caps).fetchall() == [("a",), ("b",), ("c",)]


async def test_what_locks_the_history_does_not_wait_for_a_blocked_event_loop(open_app: workrow.App, conn: Any) -> None:
    query = (
        r"SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhrelid::regclass::text ~ 'history_\d+$' ORDER BY 1"
    )
    days = conn.execute(query).fetchall()
    conn.execute(f"DROP TABLE {days[-1][0]}")
    conn.execute("SET lock_timeout = '5s'")
    upkeep = asyncio.create_task(historian(open_app).run_once())
    while not upkeep.done():
        conn.execute("SELECT FROM workrow.history LIMIT 1")  # as a task that does not await
        await asyncio.sleep(0)
    await upkeep
    assert conn.execute(query).fetchall() == days
