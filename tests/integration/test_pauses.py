"""Pauses hold whatever claims jobs, and a resume wakes whoever sleeps."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

import workrow


@asynccontextmanager
async def running(app: workrow.App, **options: Any) -> AsyncIterator[None]:
    worker = asyncio.create_task(app.run_worker_async(install_signal_handlers=False, **options))
    try:
        yield
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def drained(app: workrow.App, **options: Any) -> None:
    await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False, **options)


@pytest.fixture
def ran(open_app: workrow.App) -> list[str]:
    done: list[str] = []

    @open_app.task(name="post", queue="posts", aliases=["old.post"])
    async def post(n: int) -> None:
        done.append(f"post {n}")

    @open_app.task(name="mail", queue="mails")
    async def mail(n: int) -> None:
        done.append(f"mail {n}")

    return done


async def put(app: workrow.App, name: str, n: int, **options: Any) -> None:
    await app.tasks[name].options(**options).enqueue(None, n=n)  # type: ignore[attr-defined]


async def until(condition: Callable[[], bool], tick: Callable[[], Awaitable[Any]] | None = None) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(("kind", "name"), [("queue", "mails"), ("task", "mail")])
@pytest.mark.parametrize("lock", [None, "a lock"])
async def test_what_is_paused_stays_and_the_rest_runs(
    kind: str, name: str, lock: str | None, open_app: Any, ran: list[str], conn: psycopg.Connection[Any]
) -> None:
    for n in range(3):
        await put(open_app, "mail", n, lock=lock)
        await put(open_app, "post", n, lock=lock and f"{lock} {n}")
    assert await getattr(open_app, f"pause_{kind}_async")(name, actor="ada", reason="smtp is down")
    assert not await getattr(open_app, f"pause_{kind}_async")(name, actor="bob", reason="again")
    await drained(open_app)
    assert sorted(ran) == ["post 0", "post 1", "post 2"]
    row = conn.execute("SELECT kind, name, actor, reason FROM workrow.pauses WHERE resumed_at IS NULL").fetchall()
    assert row == [(kind, name, "ada", "smtp is down")]
    assert await getattr(open_app, f"resume_{kind}_async")(name, actor="eve", reason="it is up")
    assert not await getattr(open_app, f"resume_{kind}_async")(name)
    await drained(open_app)
    assert sorted(ran)[:3] == ["mail 0", "mail 1", "mail 2"]
    row = conn.execute("SELECT actor, resumed_by, resume_reason FROM workrow.pauses").fetchall()
    assert row == [("ada", "eve", "it is up")]


async def test_a_pause_of_a_task_covers_its_aliases(
    open_app: Any, ran: list[str], conn: psycopg.Connection[Any]
) -> None:
    conn.execute(
        """INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('posts', 'old.post', '{"n": 1}')"""
    )
    await open_app.pause_task_async("post")
    await drained(open_app)
    assert ran == []
    await open_app.resume_task_async("post")
    await drained(open_app)
    assert ran == ["post 1"]


async def test_a_notified_job_of_a_paused_queue_waits_and_a_resume_wakes_the_sleeper(
    open_app: Any, ran: list[str], conn: psycopg.Connection[Any]
) -> None:
    async with running(open_app, fetch_job_polling_interval=60.0):
        await put(open_app, "post", 1)
        await until(lambda: "post 1" in ran)
        await open_app.pause_queue_async("mails")
        await until(lambda: conn.execute("SELECT count(*) FROM workrow.sleepers").fetchone() == (1,))
        await asyncio.sleep(0.6)  # the time for which a worker trusts what it read
        await put(open_app, "mail", 1)
        await put(open_app, "post", 2)
        await until(lambda: "post 2" in ran)
        assert "mail 1" not in ran
        await until(lambda: conn.execute("SELECT count(*) FROM workrow.sleepers").fetchone() == (1,))
        began = asyncio.get_running_loop().time()
        await open_app.resume_queue_async("mails")
        await until(lambda: "mail 1" in ran)
        assert asyncio.get_running_loop().time() - began < 1.0


async def test_a_resumed_task_wakes_the_sleeper(open_app: Any, ran: list[str], conn: psycopg.Connection[Any]) -> None:
    async with running(open_app, fetch_job_polling_interval=60.0, queues=["mails"]):
        await open_app.pause_task_async("mail")
        await until(lambda: conn.execute("SELECT count(*) FROM workrow.queue_names").fetchone() == (0,))
        await put(open_app, "mail", 1)
        conn.execute("INSERT INTO workrow.queue_names VALUES ('mails') ON CONFLICT DO NOTHING")
        await until(lambda: conn.execute("SELECT count(*) FROM workrow.sleepers").fetchone() == (1,))
        began = asyncio.get_running_loop().time()
        await open_app.resume_task_async("mail")
        await until(lambda: "mail 1" in ran)
        assert asyncio.get_running_loop().time() - began < 1.0


async def test_a_busy_worker_heeds_a_pause_and_gives_back_what_it_claimed_ahead(
    open_app: Any, conn: psycopg.Connection[Any]
) -> None:
    started: list[int] = []

    @open_app.task(name="slow", queue="slow")
    async def slow(n: int) -> None:
        started.append(n)
        await asyncio.sleep(0.001)

    await slow.enqueue_many(None, [{"n": n} for n in range(20_000)])
    async with running(open_app, concurrency=2):
        await until(lambda: len(started) > 50)
        await open_app.pause_queue_async("slow")
        await asyncio.sleep(1.0)
        after_a_second = len(started)
        await until(lambda: conn.execute("SELECT 1 FROM procrastinate_jobs WHERE status = 'doing'").fetchone() is None)
        assert len(started) == after_a_second < 20_000
        left = conn.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'").fetchone()
        assert left == (20_000 - len(started),)


def test_the_sync_methods_and_what_cannot_be_paused(app: workrow.App, conn: psycopg.Connection[Any]) -> None:
    assert app.pause_queue("mails", reason="r", actor="a")
    assert app.resume_queue("mails")
    assert app.pause_task("mail")
    assert app.resume_task("mail")
    with pytest.raises(workrow.OptionError, match="queue=''"):
        app.pause_queue("")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="kind 'lane' cannot be paused: give queue or task"):
        conn.execute("SELECT workrow.pause_v1('lane', 'x', NULL, NULL)")


def test_a_stock_worker_heeds_pauses_and_expiry(conn: psycopg.Connection[Any]) -> None:
    conn.execute(
        """INSERT INTO procrastinate_jobs (id, queue_name, task_name, lock, expires_at) VALUES
           (1, 'q1', 't1', NULL, NULL), (2, 'q1', 't1', 'l', NULL),
           (3, 'q2', 't2', NULL, NULL), (4, 'q2', 't2', 'm', NULL),
           (5, 'q3', 't3', NULL, now() - INTERVAL '1 s'), (6, 'q3', 't3', 'n', now() - INTERVAL '1 s'),
           (7, 'q4', 't4', NULL, now() + INTERVAL '1 hour')"""
    )
    conn.execute("SELECT workrow.pause_v1('queue', 'q1'), workrow.pause_v1('task', 't2')")

    def fetch() -> Any:
        return conn.execute("SELECT (procrastinate_fetch_job_v2(NULL, NULL)).id").fetchone()

    assert [fetch(), fetch()] == [(7,), (None,)]
    conn.execute("SELECT workrow.resume_v1('queue', 'q1'), workrow.resume_v1('task', 't2')")
    assert sorted(row[0] for row in (fetch(), fetch(), fetch(), fetch())) == [1, 2, 3, 4]
    assert fetch() == (None,)


@pytest.mark.parametrize(("kind", "name"), [("queue", "limited"), ("task", "limited")])
async def test_jobs_under_limits_are_paused_and_expire_too(kind: str, name: str, open_app: Any, conn: Any) -> None:
    done: list[int] = []

    @open_app.task(name="limited", queue="limited", limits=workrow.Limit(2), expires=3600)
    async def limited(n: int) -> None:
        done.append(n)

    await limited.enqueue_many(None, [{"n": n} for n in range(3)])
    await getattr(open_app, f"pause_{kind}_async")(name)
    await drained(open_app)
    assert done == []
    await getattr(open_app, f"resume_{kind}_async")(name)
    conn.execute("UPDATE procrastinate_jobs SET expires_at = now() WHERE args ->> 'n' = '0'")
    await drained(open_app)
    assert sorted(done) == [1, 2]
    assert conn.execute("SELECT status FROM workrow.jobs WHERE args ->> 'n' = '0'").fetchone() == ("cancelled",)
