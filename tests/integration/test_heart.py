"""The worker's parts: what is claimed in which order, who is woken, what a stop leaves behind."""

import asyncio
import time
from typing import Any

import psycopg
import pytest
from psycopg import sql

import workrow
from workrow.sql import load


class Running:
    """A worker that runs until the block ends."""

    def __init__(self, app: workrow.App, **options: Any) -> None:
        self.app, self.options = app, {"install_signal_handlers": False, **options}

    async def __aenter__(self) -> "Running":
        self.task = asyncio.create_task(self.app.run_worker_async(**self.options))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.task.cancel()
        if kind is not None:  # what the block left open may hold ends of jobs, and a worker waits for them
            await asyncio.sleep(0)
            self.task.cancel()
        (ended,) = await asyncio.gather(self.task, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended  # the cause of what the block has waited for in vain


async def until(what: Any, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.005)


def sleepers(conn: Any) -> list[tuple[Any, ...]]:
    return list(conn.execute("SELECT queues FROM workrow.sleepers").fetchall())


@pytest.fixture
async def listening(database_url: str) -> Any:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute('LISTEN "procrastinate_any_queue_v1"')
        await connection.execute('LISTEN "procrastinate_queue_v1#a"')
        await connection.execute('LISTEN "procrastinate_queue_v1#b"')
        yield connection


async def heard(connection: psycopg.AsyncConnection) -> list[str]:
    await connection.execute("SELECT 1")
    return sorted([notification.channel async for notification in connection.notifies(timeout=0.05)])


class TestNotifications:
    async def test_the_channel_of_a_long_name_is_cut_as_listen_cuts_it(self, listening: Any, conn: Any) -> None:
        conn.execute("INSERT INTO workrow.sleepers (worker_id) VALUES (1)")
        queue = "\u00fc" * 60
        await listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(f"procrastinate_queue_v1#{queue}")))
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES (%s, 't')", [queue])
        conn.execute("SELECT workrow.notify_queue_v1(%s, 'job_inserted', 1)", [queue])
        conn.execute(load("notify_queues"), {"queues": [queue]})
        long = "procrastinate_queue_v1#" + "\u00fc" * 20
        assert await heard(listening) == ["procrastinate_any_queue_v1"] * 3 + [long] * 3

    async def test_nobody_sleeps_nobody_is_notified(self, listening: Any, conn: Any) -> None:
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('a', 't'), ('b', 't')")
        assert await heard(listening) == []

    async def test_one_for_each_queue_that_a_sleeper_wants(self, listening: Any, conn: Any) -> None:
        conn.execute("INSERT INTO workrow.sleepers (worker_id, queues) VALUES (1, ARRAY['a'])")
        conn.execute(
            """INSERT INTO procrastinate_jobs (queue_name, task_name)
               SELECT CASE WHEN n % 2 = 0 THEN 'a' ELSE 'b' END, 't' FROM generate_series(1, 100) AS n"""
        )
        assert await heard(listening) == ["procrastinate_any_queue_v1", "procrastinate_queue_v1#a"]
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('b', 't')")
        assert await heard(listening) == []

    async def test_a_stock_worker_counts_as_asleep(self, listening: Any, conn: Any) -> None:
        conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('b', 't')")
        assert await heard(listening) == ["procrastinate_any_queue_v1", "procrastinate_queue_v1#b"]
        conn.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '2 minutes'")
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('b', 't')")
        assert await heard(listening) == []


async def test_an_idle_worker_is_woken_and_goes_by_itself(open_app: workrow.App, conn: Any) -> None:
    started: list[float] = []

    @open_app.task(name="wake")
    async def wake() -> None:
        started.append(time.monotonic())

    async with Running(open_app, fetch_job_polling_interval=30.0):
        await until(lambda: sleepers(conn) == [(None,)])
        await asyncio.sleep(0.5)  # past the looks that follow falling asleep
        before = time.monotonic()
        await wake.enqueue(None)
        await until(lambda: started)
        assert started[0] - before < 1
    assert sleepers(conn) == []
    assert conn.execute("SELECT count(*) FROM procrastinate_workers").fetchone() == (0,)


async def test_priority_then_id(open_app: workrow.App) -> None:
    order: list[int] = []

    @open_app.task(name="ranked")
    async def ranked(n: int) -> None:
        order.append(n)

    for n in range(30):
        await ranked.options(priority=n % 3).enqueue(None, n)
    for n in range(30, 60):
        await ranked.options(priority=n, queue="many").enqueue(None, n)
    await open_app.run_worker_async(wait=False, install_signal_handlers=False, queues=["default"])
    assert order == [n for rank in (2, 1, 0) for n in range(30) if n % 3 == rank]
    order.clear()
    await open_app.run_worker_async(wait=False, install_signal_handlers=False, queues=["many"])
    assert order == list(range(59, 29, -1))


async def test_what_commits_late_below_the_cursor_is_found(open_app: workrow.App, conn: Any, database_url: str) -> None:
    ran: set[int] = set()

    @open_app.task(name="late")
    async def late(n: int) -> None:
        ran.add(n)

    with psycopg.connect(database_url) as slow:
        late.enqueue(slow, -1)  # the lowest id, committed last
        async with Running(open_app):
            await late.enqueue_many(None, [{"n": n} for n in range(200)])
            await until(lambda: len(ran) == 200)
            slow.commit()
            await until(lambda: -1 in ran)


async def test_a_slow_job_holds_back_no_other(open_app: workrow.App, conn: Any, database_url: str) -> None:
    release = asyncio.Event()
    ran: list[str] = []

    @open_app.task(name="job")
    async def job(slow: bool, n: int) -> None:
        if slow:
            await release.wait()
        ran.append("slow" if slow else "quick")

    other = workrow.App(database_url)
    other.task(name="job")(job.func)
    # quick ones first, so that the worker claims far ahead when it meets the slow one
    await job.enqueue_many(None, [{"slow": False, "n": n} for n in range(3000)])
    await job.enqueue(None, slow=True, n=0)
    await job.enqueue_many(None, [{"slow": False, "n": n} for n in range(500)])
    async with Running(open_app, concurrency=1):
        await until(lambda: len(ran) == 3000)
        async with other.open_async():
            await other.run_worker_async(wait=False, install_signal_handlers=False)
            await until(lambda: conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()[0] < 502)
            async with Running(other):
                await until(lambda: len(ran) == 3500)
        release.set()
        await until(lambda: ran[-1] == "slow")


async def test_sync_tasks_really_run_side_by_side(open_app: workrow.App) -> None:
    import threading

    barrier = threading.Barrier(16, timeout=10)

    @open_app.task(name="meet")
    def meet() -> None:
        barrier.wait()

    await meet.enqueue_many(None, [{}] * 16)
    await open_app.run_worker_async(wait=False, install_signal_handlers=False, concurrency=16)
    assert not barrier.broken


async def test_a_stop_gives_back_what_did_not_end(open_app: workrow.App, conn: Any) -> None:
    started = asyncio.Event()

    @open_app.task(name="endless")
    async def endless(n: int) -> None:
        started.set()
        await asyncio.Event().wait()

    await endless.enqueue_many(None, [{"n": n} for n in range(5)])
    async with Running(open_app, concurrency=2, shutdown_graceful_timeout=0.0):
        await started.wait()
    rows = conn.execute("SELECT status, attempts, worker_id, errors FROM procrastinate_jobs").fetchall()
    assert rows == [("todo", 0, None, None)] * 5


async def test_a_running_job_is_aborted_on_request(open_app: workrow.App, conn: Any) -> None:
    started = asyncio.Event()

    @open_app.task(name="abortable", retry=workrow.Retry(max_attempts=9))
    async def abortable() -> None:
        started.set()
        await asyncio.Event().wait()

    job = await abortable.enqueue(None)
    async with Running(open_app):
        await started.wait()
        assert await open_app.job_manager.cancel_job_by_id_async(job.id, abort=True)
        query = "SELECT status FROM workrow.jobs WHERE id = %s"
        await until(lambda: conn.execute(query, [job.id]).fetchone() == ("aborted",))


async def test_a_worker_outlives_its_connections(open_app: workrow.App, conn: Any) -> None:
    ran: set[int] = set()

    @open_app.task(name="go_on", retry=workrow.Retry(max_attempts=5, wait=0))
    async def go_on(n: int) -> None:
        ran.add(n)

    async with Running(open_app, concurrency=5) as worker:
        for round_ in range(4):
            await until(lambda: conn.execute("SELECT count(*) FROM workrow.sleepers").fetchone() is not None)
            conn.execute(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()
                   AND backend_type = 'client backend'"""
            )
            with psycopg.connect(open_app.database_url, autocommit=True) as fresh:
                go_on.enqueue_many(fresh, [{"n": round_ * 1000 + n} for n in range(300)])
            await until(lambda round_=round_: len(ran) == (round_ + 1) * 300, 20)
            assert not worker.task.done()
        await until(lambda: conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,), 20)
    assert conn.execute("SELECT count(*) FROM workrow.jobs WHERE status = 'succeeded'").fetchone() == (1200,)


async def test_queues_have_slots_of_their_own(open_app: workrow.App) -> None:
    running: dict[str, int] = {"few": 0, "many": 0}
    most: dict[str, int] = {"few": 0, "many": 0}

    @open_app.task(name="count")
    async def count(queue: str) -> None:
        running[queue] += 1
        most[queue] = max(most[queue], running[queue])
        await asyncio.sleep(0.01)
        running[queue] -= 1

    for queue in running:
        await count.options(queue=queue).enqueue_many(None, [{"queue": queue}] * 30)
    worker = open_app._worker(  # type: ignore[call-arg]
        wait=False, install_signal_handlers=False, queue_concurrency={"few": 2, "many": 7}
    )
    await worker.run()
    assert most == {"few": 2, "many": 7}


async def test_one_outcome_that_postgres_refuses_keeps_no_other(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="deep")
    async def deep(n: int) -> Any:
        return {"number": 10**400_000 if n == 3 else n}

    jobs = await deep.enqueue_many(None, [{"n": n} for n in range(6)])
    await open_app.run_worker_async(wait=False, install_signal_handlers=False, concurrency=6)
    statuses = dict(conn.execute("SELECT id, status FROM workrow.jobs").fetchall())
    assert [statuses[job.id] for job in jobs].count("succeeded") >= 5
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)


async def test_history_is_extended_and_pruned_by_dropping_days(conn: Any) -> None:
    conn.execute("CREATE TABLE workrow.history_20200101 (LIKE workrow.history INCLUDING ALL)")
    assert conn.execute("SELECT workrow.extend_history_v1()").fetchone() == (0,)
    conn.execute(
        """INSERT INTO workrow.history (id, queue_name, task_name, priority, args, status, attempts, finished_at)
           VALUES (1, 'q', 't', 0, '{}', 'succeeded', 1, now()), (2, 'q', 't', 0, '{}', 'failed', 1, '2019-01-01')"""
    )
    conn.execute("DROP TABLE workrow.history_20200101")
    with conn.transaction(force_rollback=True):
        assert conn.execute("SELECT workrow.extend_history_v1(5)").fetchone() == (2,)
        assert conn.execute("SELECT workrow.prune_history_v1('30 days')").fetchone()[0] >= 0
        assert conn.execute(
            "SELECT id FROM workrow.history WHERE finished_at > now() - interval '1 day'"
        ).fetchall() == [(1,)]
