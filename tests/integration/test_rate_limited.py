"""RateLimited: one job is told to wait, and all that wait for the same limit do."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

import workrow
from tests.integration import process_tasks
from tests.integration.test_worker import row, run
from workrow import Limit, Rate, RateLimited, Rule, retries, testing
from workrow.worker.lane import Lane


def held(conn: Any) -> dict[tuple[str, str | None], float]:
    """Seconds for which limits are still held back, by name and key."""
    return {
        (name, key): seconds
        for name, key, seconds in conn.execute(
            "SELECT name, key, CAST(extract(EPOCH FROM held_until - clock_timestamp()) AS double precision)"
            " FROM workrow.limits WHERE held_until IS NOT NULL"
        ).fetchall()
    }


class TooMany(Exception):
    def __init__(self, seconds: float = 600) -> None:
        self.retry_after = seconds


async def test_nothing_else_of_the_limit_starts_and_no_attempt_is_counted(open_app: workrow.App, conn: Any) -> None:
    calls: list[int] = []

    @open_app.task(name="call", limits=Limit(1, name="vendor"))
    async def call(n: int) -> None:
        calls.append(n)
        if len(calls) == 1:
            raise RateLimited("429", retry_after=600)

    @open_app.task(name="other", limits=Limit(1, name="another vendor"))
    async def other() -> None:
        calls.append(-1)

    jobs = [await call.enqueue(None, n) for n in range(10)]
    await other.enqueue(None)
    await run(open_app, concurrency=4)
    await run(open_app, concurrency=4)
    assert sorted(calls) == [-1, 0]
    found = row(conn, jobs[0])
    assert (found["status"], found["attempts"], found["errors"]) == ("todo", 0, None)
    assert 590 < (found["scheduled_at"] - datetime.now(UTC)).total_seconds() < 601
    assert held(conn) == {("vendor", None): pytest.approx(600, abs=10)}

    assert conn.execute("SELECT workrow.reset_limit_v1('vendor')").fetchone() == (True,)
    assert conn.execute("SELECT workrow.reset_limit_v1('vendor')").fetchone() == (False,)
    assert held(conn) == {}
    await run(open_app, concurrency=4)
    assert sorted(calls) == list(range(-1, 10)), "all but the one that waits by itself"


@pytest.mark.parametrize("kind", ["coroutine", "thread", "process", "transaction"])
async def test_however_the_task_runs(database_url: str, conn: Any, kind: str) -> None:
    engine = create_async_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    app = workrow.App(database_url, sessions=async_sessionmaker(engine))
    calls: list[int] = []

    async def coroutine(n: int) -> None:
        calls.append(n)
        raise RateLimited(retry_after=600)

    def thread(n: int) -> None:
        calls.append(n)
        raise RateLimited(at=datetime.now(UTC) + timedelta(seconds=600))

    async def transaction(session: AsyncSession, n: int) -> None:
        calls.append(n)
        raise RateLimited(retry_after=timedelta(minutes=10))

    functions = {"coroutine": coroutine, "thread": thread, "transaction": transaction}
    options: dict[str, Any] = {"process": {"run_in": "process"}, "transaction": {"transactional": True}}.get(kind, {})
    task: Any = app.task(name="call", limits=Limit(1), **options)(functions.get(kind, process_tasks.rate_limited))
    async with app.open_async():
        jobs = [await task.enqueue(None, n) for n in range(3)]
        await run(app)
    await engine.dispose()
    found = [row(conn, job) for job in jobs]
    assert [(each["status"], each["attempts"], each["claims"]) for each in found] == [
        ("todo", 0, 1),
        ("todo", 0, 0),
        ("todo", 0, 0),
    ]
    assert held(conn) == {("call", None): pytest.approx(600, abs=20)}


async def test_it_ends_by_itself(open_app: workrow.App, conn: Any) -> None:
    calls: list[float] = []
    done = asyncio.Event()

    @open_app.task(name="call", limits=Limit(1))
    async def call() -> None:
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise RateLimited(retry_after=0.5)
        if len(calls) == 4:
            done.set()

    await call.enqueue_many(None, [{}] * 3)
    worker = asyncio.create_task(open_app.run_worker_async(install_signal_handlers=False))
    async with asyncio.timeout(10):
        await done.wait()
    worker.cancel()
    await asyncio.wait([worker])
    assert all(0.45 < at - calls[0] < 2 for at in calls[1:]), calls


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        (None, {("send/tenant", "a")}),
        ("send/tenant", {("send/tenant", "a")}),
        ("vendor", {("vendor/account", "1")}),
        ("vendor/account", {("vendor/account", "1")}),
        ("send", {("send", None), ("send/tenant", "a")}),
        ("queue:mail", {("queue:mail", None)}),
        ("vendors", set()),
    ],
)
async def test_which_of_several(
    open_app: workrow.App,
    conn: Any,
    limit: str | None,
    found: set[tuple[str, str | None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    limits = [Limit(9), Limit(5, key="tenant"), Limit(9, scope="queue")]
    if limit and limit.startswith("vendor"):
        limits.append(Rate("9/s", key="account", name="vendor"))  # type: ignore[arg-type]
    calls: Counter[str] = Counter()

    @open_app.task(name="send", queue="mail", limits=limits)
    async def send(tenant: str, account: int = 1) -> None:
        calls[tenant] += 1
        if tenant == "a":
            raise RateLimited(retry_after=600, limit=limit)

    await send.enqueue(None, "a")
    await send.enqueue_many(None, [{"tenant": "b", "account": 2}] * 3)
    await run(open_app, concurrency=1)
    assert held(conn).keys() == found
    assert calls == ({"a": 1} if limit in ("send", "queue:mail") else {"a": 1, "b": 3})
    assert ("under no limit named 'vendors'" in caplog.text) == (limit == "vendors")


async def test_the_later_one_counts(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="call", limits=Limit(3))
    async def call(seconds: float) -> None:
        if seconds == 600:
            await asyncio.sleep(0)
        raise RateLimited(retry_after=seconds)

    for seconds in (600, 5, 60):
        await call.enqueue(None, seconds)
    await run(open_app, concurrency=3)
    assert held(conn) == {("call", None): pytest.approx(600, abs=10)}


async def test_what_is_claimed_ahead_does_not_start(open_app: workrow.App, conn: Any) -> None:
    calls: list[int] = []

    @open_app.task(name="call", limits=Rate("1000/s", burst=1000))
    async def call(n: int) -> None:
        calls.append(n)
        await asyncio.sleep(0.001)
        if n == 100:
            raise RateLimited(retry_after=600)

    @open_app.task(name="plain")
    async def plain() -> None:
        calls.append(-1)

    await call.enqueue_many(None, [{"n": n} for n in range(300)])
    await run(open_app, concurrency=2)
    await plain.enqueue(None)
    await run(open_app, concurrency=2)
    # the other slot goes on until this is written down, and of 199 that wait many were claimed ahead
    assert calls[-1] == -1
    assert max(calls) < 120, calls[-5:]
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'").fetchone() == (0,)


async def test_a_claim_under_way_does_not_slip_through(
    open_app: workrow.App, conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    claim = Lane._claim

    async def held_meanwhile(lane: Lane, room: int) -> int:
        claimer = lane.claimer
        original = claimer.claim

        async def slow(limit: int) -> Any:
            claimed = await original(limit)
            conn.execute("INSERT INTO workrow.limit_holds (bucket, until) VALUES ('call', now() + interval '1 hour')")
            lane.give_back_limited()
            return claimed

        monkeypatch.setattr(claimer, "claim", slow)
        try:
            return await claim(lane, room)
        finally:
            monkeypatch.setattr(claimer, "claim", original)

    monkeypatch.setattr(Lane, "_claim", held_meanwhile)

    @open_app.task(name="call", limits=Limit(5))
    async def call(n: int) -> None:
        calls.append(n)

    await call.enqueue_many(None, [{"n": n} for n in range(5)])
    await run(open_app)
    assert calls == []


async def test_without_limits_the_job_alone_waits(open_app: workrow.App, conn: Any) -> None:
    calls: list[int] = []

    @open_app.task(name="call")
    async def call(n: int) -> None:
        calls.append(n)
        if n == 0:
            raise RateLimited(retry_after=600)

    jobs = [await call.enqueue(None, n) for n in range(3)]
    await run(open_app)
    assert sorted(calls) == [0, 1, 2]
    assert (row(conn, jobs[0])["status"], row(conn, jobs[0])["attempts"]) == ("todo", 0)
    assert held(conn) == {}


@pytest.mark.parametrize(
    ("limit", "waits"),
    [
        (Limit(1, name="vendor"), True),
        (Limit(1, key="tenant"), True),
        (Limit(1), False),
        (Limit(1, scope="queue"), False),
    ],
)
async def test_a_rule_that_listens_to_retry_after_holds_what_stands_for_the_other_side(
    open_app: workrow.App, conn: Any, limit: Limit, waits: bool
) -> None:
    calls: list[int] = []

    @open_app.task(name="call", limits=limit, retry=retries.usual)
    async def call(n: int, tenant: int = 1) -> None:
        calls.append(n)
        if n == 0:
            raise TooMany

    jobs = [await call.enqueue(None, n) for n in range(3)]
    await run(open_app)
    assert calls == ([0] if waits else [0, 1, 2])
    assert row(conn, jobs[0])["attempts"] == 1, "the policy counts"
    assert bool(held(conn)) == waits


async def test_the_last_attempt_holds_too_and_what_asks_for_nothing_does_not(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="last", limits=Limit(1, name="a"), retry=Rule(TooMany, max_attempts=1, retry_after=True))
    async def last() -> None:
        raise TooMany

    @open_app.task(name="deaf", limits=Limit(1, name="b"), retry=Rule(TooMany))
    async def deaf() -> None:
        raise TooMany

    @open_app.task(name="none", limits=Limit(1, name="c"), retry=retries.usual)
    async def nothing_asked() -> None:
        raise TooMany(0)

    job = await last.enqueue(None)
    await deaf.enqueue(None)
    await nothing_asked.enqueue(None)
    await run(open_app)
    assert row(conn, job)["status"] == "failed"
    assert held(conn).keys() == {("a", None)}


async def test_somebodys_open_reset_holds_nobody_up(open_app: workrow.App, conn: Any, database_url: str) -> None:
    calls: list[int] = []

    @open_app.task(name="call", limits=Limit(2, key="tenant"))
    async def call(tenant: int) -> None:
        calls.append(tenant)
        raise RateLimited(retry_after=600)

    await call.enqueue(None, 1)
    await run(open_app)
    with psycopg.connect(database_url) as other:
        assert other.execute("SELECT workrow.reset_limit_v1('call/tenant', '1')").fetchone() == (True,)
        await call.enqueue(None, 1)
        await call.enqueue(None, 2)
        await run(open_app)
        assert calls == [1, 2], "not committed: 1 is held back"
        conn.execute("SELECT workrow.prune_limits_v1()")
    await run(open_app)
    assert calls == [1, 2, 1]


async def test_a_clock_that_is_set_back_lengthens_nothing(open_app: workrow.App, conn: Any) -> None:
    calls: list[int] = []

    @open_app.task(name="call", limits=Limit(1))
    async def call() -> None:
        calls.append(1)

    conn.execute(
        "INSERT INTO workrow.limit_holds (bucket, held_at, until)"
        " VALUES ('call', now() + interval '1 hour', now() + interval '61 minutes'),"
        " ('call', now() - interval '2 hours', now() - interval '1 hour')"
    )
    await call.enqueue(None)
    await run(open_app)
    assert calls == [1]
    assert held(conn) == {}
    conn.execute("SELECT workrow.prune_limits_v1()")
    assert conn.execute("SELECT count(*) FROM workrow.limit_holds").fetchone() == (1,)


async def test_in_the_test_kit(app: workrow.App, conn: Any) -> None:
    calls: list[int] = []

    @app.task(name="call", limits=Limit(1))
    async def call(n: int) -> None:
        calls.append(n)
        if len(calls) == 1:
            raise RateLimited(retry_after=60)

    async with testing.Harness(app) as jobs:
        with jobs.clock.at("2027-01-01") as clock:
            await call.enqueue_many(None, [{"n": 1}, {"n": 2}])
            ran = await jobs.drain()
            assert [(each.status, each.failed) for each in ran] == [("snoozed", False)]
            assert await clock.run_for(seconds=59) == []
            assert [each.status for each in await clock.run_for(seconds=2)] == ["succeeded", "succeeded"]
    calls.clear()
    with testing.inline(), pytest.raises(RateLimited):
        await call.enqueue(None, 1)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, "give one of the two"),
        ({"retry_after": 1, "at": datetime.now(UTC)}, "give one of the two"),
        ({"retry_after": -1}, r"retry_after=-1\): must be .*, up to a year"),
        ({"retry_after": float("nan")}, r"retry_after=nan\): must be"),
        ({"retry_after": float("inf")}, r"retry_after=inf\): must be"),
        ({"retry_after": "120"}, r"retry_after='120'\): must be a timedelta or a number of seconds"),
        ({"retry_after": True}, "must be"),
        ({"retry_after": 1_800_000_000}, r"is it a time\? then say at="),
        ({"at": datetime(9999, 1, 1, tzinfo=UTC)}, "within 100 years"),
        ({"at": datetime.now(UTC) + timedelta(days=400)}, "within a year"),
        ({"at": datetime(2027, 1, 1)}, "with a time zone"),
        ({"at": "tomorrow"}, "with a time zone"),
        ({"retry_after": 1, "limit": ""}, "must be the name of one of the task's limits"),
        ({"retry_after": 1, "limit": 3}, "must be the name of one of the task's limits"),
    ],
)
def test_what_cannot_be_understood(said: Any, told: str) -> None:
    with pytest.raises(workrow.OptionError, match=told):
        RateLimited("429", **said)


def test_what_has_passed_is_a_second() -> None:
    assert RateLimited(retry_after=0).seconds == 1
    past = RateLimited(at=datetime.now(UTC) - timedelta(hours=1))
    assert (past.seconds, past.at) == (1, None)
