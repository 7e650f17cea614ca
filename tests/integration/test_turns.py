"""Nobody starves: queues take turns, what comes back waits its turn, and a worker sees its own queues."""

import asyncio
import time
from collections import Counter
from typing import Any

import psycopg
import pytest

import workrow
from workrow import sql
from workrow.errors import OptionError
from workrow.worker.claiming.survey import Group
from workrow.worker.claiming.turns import Turns

pytestmark = pytest.mark.timed

QUEUES = [f"q{n}" for n in range(5)]
NOOPS = """INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args)
           SELECT queue, 'noop', priority, '{}' FROM unnest(%s::text[], %s::int[]) AS given (queue, priority)"""


async def run(app: workrow.App, **options: Any) -> None:
    """Run what is ready now, and return."""
    await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False, **options)


async def run_until(app: workrow.App, done: asyncio.Event, **options: Any) -> None:
    """Run a worker until this happens."""
    worker = asyncio.create_task(app.run_worker_async(install_signal_handlers=False, **options))
    try:
        async with asyncio.timeout(60):
            await done.wait()
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


@pytest.mark.parametrize("slots", [1, 7, 50])
@pytest.mark.parametrize("trickles", [False, True])
async def test_five_equal_queues_get_a_fifth_each(
    slots: int, trickles: bool, open_app: workrow.App, conn: psycopg.Connection[Any]
) -> None:
    ran: Counter[str] = Counter()
    done = asyncio.Event()
    conn.autocommit = True

    def fill(each: int) -> None:
        conn.execute(NOOPS, [QUEUES * each, [0] * (len(QUEUES) * each)])

    @open_app.task(name="noop")
    async def noop(context: workrow.JobContext) -> None:
        if ran.total() < 3000:
            ran[context.job.queue] += 1
            if trickles and ran.total() % 100 == 0:
                fill(20)
        if ran.total() == 3000:
            done.set()

    fill(100 if trickles else 3000)
    await run_until(open_app, done, concurrency=slots)
    assert all(480 <= ran[queue] <= 720 for queue in QUEUES), ran


def test_who_was_idle_has_saved_up_nothing() -> None:
    turns = Turns()
    busy, idle = Group("busy", 0), Group("idle", 0)
    for _ in range(100):
        assert turns.first([busy]) == [busy]
        turns.count(busy.key, 10)
    served: Counter[str] = Counter()
    for _ in range(20):
        first = turns.first([busy, idle])[0]
        served[first.queue] += 10
        turns.count(first.key, 10)
    assert abs(served["busy"] - served["idle"]) <= 20, served


def test_waiting_counts_as_priority_only_where_it_is_to() -> None:
    old, high = Group("a", 0, since=time.monotonic() - 25), Group("a", 2, since=time.monotonic())
    assert Turns().first([high, old]) == [high]
    assert Turns(ageing=100).first([high, old]) == [high]
    assert Turns(ageing=8).first([high, old]) == [old]


@pytest.mark.parametrize("seconds", [0, -1, "5", float("nan"), True])
async def test_an_ageing_that_cannot_be_is_refused(seconds: Any, open_app: workrow.App) -> None:
    with pytest.raises(OptionError, match=r"priority_ageing=.*above 0 and up to 100 years, or None"):
        await run(open_app, priority_ageing=seconds)


@pytest.mark.parametrize("ageing", [None, 1.0])
async def test_strict_priority_starves_unless_waiting_counts(
    ageing: float | None, open_app: workrow.App, conn: psycopg.Connection[Any]
) -> None:
    conn.autocommit = True
    order: list[int] = []
    done = asyncio.Event()

    @open_app.task(name="noop")
    async def noop(context: workrow.JobContext) -> None:
        order.append(context.job.priority)
        if context.job.priority:
            conn.execute(NOOPS, [["q"], [10]])  # there is always one of the higher priority
        if len(order) == 500 or not context.job.priority:
            done.set()

    conn.execute(NOOPS, [["q"] * 2001, [10] * 2000 + [0]])
    conn.execute("UPDATE procrastinate_jobs SET created_at = now() - interval '1 minute' WHERE priority = 0")
    await run_until(open_app, done, concurrency=1, priority_ageing=ageing)
    assert (0 in order[:500]) is (ageing is not None)


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("comes_back", ["retries", "snoozes"])
async def test_what_comes_back_does_not_keep_a_fresh_job_waiting(
    comes_back: str, limited: bool, open_app: workrow.App, conn: psycopg.Connection[Any]
) -> None:
    tries, fresh_at = 0, 0
    done = asyncio.Event()

    limits = [workrow.Limit(2)] if limited else []

    @open_app.task(name="down", retry=workrow.Retry(max_attempts=100_000, wait=0.05), limits=limits)
    async def down(n: int) -> None:
        nonlocal tries, fresh_at
        tries += 1
        if tries == 200:
            await (down.enqueue(None, n=-1) if limited else fresh.enqueue(None))
        if n == -1:
            fresh_at = tries
        if n == -1 or tries == 2000:
            done.set()
        await asyncio.sleep(0.003)  # two slots cannot keep up with a hundred such jobs
        if comes_back == "snoozes":
            raise workrow.Snooze("not yet", in_=0.05)
        raise ConnectionError("503")

    @open_app.task(name="fresh")
    async def fresh() -> None:
        nonlocal fresh_at
        fresh_at = tries
        done.set()

    await down.enqueue_many(None, [{"n": n} for n in range(100)])
    await run_until(open_app, done, concurrency=2)
    assert 200 <= fresh_at < 600, fresh_at


def test_jobs_are_claimed_by_the_time_since_which_they_are_ready(conn: psycopg.Connection[Any]) -> None:
    conn.execute(NOOPS, [["q"] * 6, [0] * 6])
    first = conn.execute("SELECT min(id) FROM procrastinate_jobs").fetchone()[0]  # type: ignore[index]
    for n, seconds in enumerate((20, 22, 15, 12, 25, 5)):
        conn.execute(
            f"""UPDATE procrastinate_jobs SET created_at = now() - interval '{seconds} seconds'
                WHERE id = {first + n}"""
        )
        if n % 2 == 0:  # was retried
            conn.execute(
                f"""UPDATE procrastinate_jobs
                    SET scheduled_at = now() - interval '{seconds} seconds', created_at = now() - interval '1 hour'
                    WHERE id = {first + n}"""
            )
    conn.execute("UPDATE procrastinate_jobs SET staged_at = scheduled_at")
    conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    worker = conn.execute("SELECT max(id) FROM procrastinate_workers").fetchone()[0]  # type: ignore[index]
    params = {"worker_id": worker, "tasks": ["noop"], "signatures": [], "queue": "q", "priority": 0}
    order: list[int] = []
    after = 0
    while rows := conn.execute(sql.load("claim_mixed_jobs"), {**params, "after": after, "limit": 1}).fetchall():
        order.append(rows[0][0] - first)
        after = max([after, *(row[0] for row in rows if row[7] is None)])
    assert order == [4, 1, 0, 2, 3, 5]


async def test_a_worker_of_three_queues_among_five_thousand(
    open_app: workrow.App, conn: psycopg.Connection[Any]
) -> None:
    conn.autocommit = True
    done = asyncio.Event()

    @open_app.task(name="noop")
    async def noop() -> None:
        done.set()

    names = [f"q{n:04}" for n in range(5000) for _ in range(3)]
    conn.execute(NOOPS, [names, [0, 1, 2] * 5000])
    conn.execute("ANALYZE procrastinate_jobs")
    began = time.monotonic()
    await run_until(open_app, done, queues=["q4997", "q4998", "q4999"])
    assert time.monotonic() - began < 3  # 0.1 s alone; most of it is the worker's own start and end
    took = sorted(_survey_seconds(conn, ["q0001", "q2500", "q4999"]) for _ in range(30))
    assert took[0] < 0.005, took


def _survey_seconds(conn: psycopg.Connection[Any], queues: list[str]) -> float:
    params = {"queues": queues, "paused": [], "levels": 4, "from_queue": "", "tasks": ["noop"], "signatures": []}
    began = time.perf_counter()
    rows = conn.execute(sql.load("survey_jobs"), params, prepare=True).fetchall()
    assert len([row for row in rows if row[0] == "ready"]) >= 6
    return time.perf_counter() - began


async def test_a_worker_of_all_queues_comes_to_each_of_them(
    open_app: workrow.App, conn: psycopg.Connection[Any]
) -> None:
    """A survey sees a thousand queues; those before ours are of tasks that nobody knows, for ever."""
    ran: set[str] = set()

    @open_app.task(name="noop")
    async def noop(context: workrow.JobContext) -> None:
        ran.add(context.job.queue)

    conn.execute(
        """INSERT INTO procrastinate_jobs (queue_name, task_name, args)
           SELECT 'a' || n, 'unknown', '{}' FROM generate_series(1, 2500) AS n"""
    )
    conn.execute(NOOPS, [["zzz", "a17"], [0, 0]])
    conn.commit()
    await run(open_app)
    assert ran == {"zzz", "a17"}


async def test_foreign_priorities_do_not_hide_a_queue(open_app: workrow.App, conn: psycopg.Connection[Any]) -> None:
    ran: list[str] = []

    @open_app.task(name="noop")
    async def noop(context: workrow.JobContext) -> None:
        ran.append(context.job.queue)

    conn.execute(NOOPS, [["backlog"] * 1500 + ["zzz"], [*range(1500), 0]])
    conn.commit()
    await run(open_app, queues=["zzz"])
    assert ran == ["zzz"]


async def test_a_priority_for_each_job_is_kept(open_app: workrow.App, conn: psycopg.Connection[Any]) -> None:
    order: list[int] = []

    @open_app.task(name="noop")
    async def noop(context: workrow.JobContext) -> None:
        order.append(context.job.priority)

    conn.execute(NOOPS, [["q"] * 3000, [(n * 7919) % 3000 for n in range(3000)]])
    conn.commit()
    await run(open_app, concurrency=1)
    assert order == [*reversed(range(3000))]


async def test_a_limit_taken_out_of_the_code_strands_no_job(database_url: str, conn: psycopg.Connection[Any]) -> None:
    before, after = workrow.App(database_url), workrow.App(database_url)

    @before.task(name="report", limits=workrow.Limit(1))
    async def old(n: int) -> None: ...

    @after.task(name="report")
    async def new(n: int) -> None:
        await asyncio.sleep(0.001)

    async with before.open_async():
        await old.enqueue_many(None, [{"n": n} for n in range(21)])
        await run(before, queues=["another"])  # declares the limit
    async with after.open_async():
        await run(after, concurrency=5)
    assert conn.execute("SELECT status, count(*) FROM workrow.jobs GROUP BY 1").fetchall() == [("succeeded", 21)]
