"""The clock of the server steps, under a server of our own with libfaketime."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import workrow
import workrow.schema
from tests.chaos.cluster import Cluster
from tests.chaos.stepping import LIBRARY, SteppingClock
from tests.conftest import new_database
from tests.integration.test_heart import Running, until
from tests.integration.test_rescue import register
from workrow.maintenance.clock_steps import earlier

pytestmark = [
    pytest.mark.timed,
    pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime: apt install faketime"),
]

LEASE = 2.0
STEPS = [3600, -3600, 60, -60]


@pytest.fixture(scope="module")
def stepping() -> Iterator[tuple[SteppingClock, str]]:
    """The clock, and the URL of the server that has it."""
    directory = Path(tempfile.mkdtemp(prefix="workrow-clock-"))
    directory.chmod(0o755)
    clock = SteppingClock(directory)
    cluster = Cluster(directory, directory, clock=clock)
    try:
        cluster.start()
        yield clock, cluster.url
    finally:
        cluster.destroy()
        shutil.rmtree(directory)


@pytest.fixture
def clock(stepping: tuple[SteppingClock, str]) -> Iterator[SteppingClock]:
    """It is right when a test begins."""
    stepping[0].set(0)
    yield stepping[0]
    stepping[0].set(0)


@pytest.fixture
def url(stepping: tuple[SteppingClock, str], clock: SteppingClock) -> Iterator[str]:
    with new_database(stepping[1]) as url:
        workrow.schema.upgrade(url)
        yield url


@pytest.fixture
def db(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def app(url: str) -> AsyncIterator[workrow.App]:
    app = workrow.App(url, lease=LEASE)
    async with app.open_async():
        yield app


def one(db: psycopg.Connection[Any], query: str, *values: Any) -> Any:
    found = db.execute(query, values).fetchone()
    return found and found[0]


def test_the_servers_clock_steps(db: psycopg.Connection[Any], clock: SteppingClock) -> None:
    for seconds in (3600, -3600, 0):
        clock.set(seconds)
        assert abs(float(one(db, "SELECT extract(EPOCH FROM clock_timestamp())")) - time.time() - seconds) < 1


async def test_no_step_takes_a_living_workers_jobs_and_the_dead_are_found(
    app: workrow.App, db: psycopg.Connection[Any], clock: SteppingClock
) -> None:
    go = asyncio.Event()

    @app.task(name="long")
    async def long() -> None:
        await go.wait()

    @app.task(name="short")
    async def short() -> None: ...

    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(Running(app, concurrency=5))
        await long.enqueue_many(None, [{}] * 9)
        await until(lambda: one(db, "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'") == 9)
        await asyncio.sleep(LEASE * 1.3)  # all of them would rescue by now
        for seconds in STEPS:
            dead = register(db, "dead", LEASE)
            db.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id, claims, started_at)"
                " VALUES ('default', 'short', 'doing', %s, 1, now())",
                [dead],
            )
            clock.set(seconds)
            began = time.monotonic()
            await short.enqueue_many(None, [{}] * 100)
            await until(lambda: one(db, "SELECT crashes FROM workrow.history WHERE claims = 2"), 2 * LEASE + 1)
            assert time.monotonic() - began < 2 * LEASE
            await asyncio.sleep(max(0, began + 1.5 * LEASE - time.monotonic()))
            assert one(db, "SELECT count(*) FROM workrow.workers WHERE alive") == 3
            db.execute("DELETE FROM workrow.history WHERE claims = 2")
            clock.set(0)
        go.set()
        await until(lambda: not one(db, "SELECT count(*) FROM procrastinate_jobs"))
        ends = db.execute("SELECT DISTINCT status::text, claims, crashes FROM workrow.history").fetchall()
        assert ends == [("succeeded", 1, 0)]
        assert one(db, "SELECT sum(refused) FROM workrow.workers") == 0


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers look at the clock once in a second."""
    monkeypatch.setattr("workrow.maintenance.clock_steps.LOOK_SECONDS", 1.0)


@pytest.mark.usefixtures("looks")
@pytest.mark.parametrize("seconds", STEPS)
async def test_a_rate_goes_on(
    app: workrow.App, db: psycopg.Connection[Any], clock: SteppingClock, seconds: int
) -> None:
    ran: list[float] = []

    @app.task(name="rated", limits=workrow.Rate("10/2s"))
    async def rated() -> None:
        ran.append(time.monotonic())

    async with Running(app, concurrency=20):
        await rated.enqueue_many(None, [{}] * 60)
        await until(lambda: len(ran) >= 15)
        stepped = time.monotonic()
        clock.set(seconds)
        await until(lambda: len(ran) == 60, 30)
    assert ran[-1] - stepped < 15
    # forward, what the time that was skipped would have admitted comes at once: a burst, once
    once = 10 if seconds > 0 else 0
    for start in ran:
        assert sum(start <= each < start + 1.9 for each in ran) <= 10 + once


@pytest.mark.usefixtures("looks")
async def test_a_daily_rate_loses_nothing_and_gains_nothing(
    app: workrow.App, db: psycopg.Connection[Any], clock: SteppingClock
) -> None:
    ran = []

    @app.task(name="daily", limits=workrow.Rate("3/d"))
    async def daily() -> None:
        ran.append(1)

    async with Running(app):
        await daily.enqueue_many(None, [{}] * 2)
        await until(lambda: len(ran) == 2)
        clock.set(-3600)
        await asyncio.sleep(2)
        await daily.enqueue_many(None, [{}] * 2)
        await until(lambda: len(ran) == 3)
        await until(lambda: one(db, "SELECT count(*) FROM workrow.lines WHERE wake_at IS NOT NULL") == 1)
    wait = "SELECT extract(EPOCH FROM min(wake_at) - clock_timestamp())::int FROM workrow.lines"
    # the three of this day; a rate knows the time by fiftieths of its period, and rounds up
    assert 86400 - 60 < one(db, wait) <= 86400 * 52 / 50
    assert len(ran) == 3


async def test_windows_go_on(app: workrow.App, db: psycopg.Connection[Any], clock: SteppingClock) -> None:
    @app.task(name="throttled", throttle=workrow.Throttle(limit=1, per=2))
    async def throttled() -> None: ...

    @app.task(name="once", unique=workrow.Unique(within=2))
    async def once() -> None: ...

    @app.task(name="debounced", debounce=1)
    async def debounced() -> None: ...

    clock.set(3600)
    for task in (throttled, once):
        assert (await task.enqueue(None)).created
    await app.run_worker_async(wait=False, install_signal_handlers=False)
    clock.set(0)
    assert (await once.enqueue(None)).created
    assert not (await throttled.enqueue(None)).created, "what was let through last was so a moment ago"
    await asyncio.sleep(2.1)
    assert (await throttled.enqueue(None)).created
    assert not (await throttled.enqueue(None)).created
    await debounced.enqueue(None)
    await until(lambda: one(db, "SELECT scheduled_at < clock_timestamp() FROM workrow.jobs WHERE task = 'debounced'"))


@pytest.mark.usefixtures("looks")
@pytest.mark.parametrize("seconds", [3600, -3600, 60, 61, -61, -20])  # up to a minute back is waited for
async def test_schedules_go_on(
    app: workrow.App, db: psycopg.Connection[Any], clock: SteppingClock, seconds: int
) -> None:
    ticks: list[float] = []

    @app.task(name="often", every=timedelta(seconds=2))
    async def often() -> None:
        ticks.append(time.monotonic())

    async with Running(app):
        await until(lambda: len(ticks) >= 2)
        stepped = time.monotonic()
        clock.set(seconds)
        late = 10 - (seconds if -60 <= seconds < 0 else 0)
        await until(lambda: sum(each > stepped for each in ticks) >= 3, late + 6)
    assert next(each for each in ticks if each > stepped) - stepped < late


def test_what_has_had_its_job_waits_for_the_next() -> None:
    now, hour = datetime(2030, 1, 1, 12, 30, tzinfo=UTC), timedelta(hours=1)
    assert earlier("minutely", "* * * * *", None, "UTC", now + hour, now) == now + timedelta(minutes=1)
    assert earlier("every", None, 60, None, now + hour, now) == now + timedelta(minutes=1)
    assert earlier("hourly", "0 * * * *", None, "UTC", now + hour, now) is None
    assert earlier("daily", "0 13 * * *", None, "UTC", now + hour, now) is None
    assert earlier("nowhere", "0 13 * * *", None, "Middle/Earth", now + hour, now) is None
    for odd in (1e300, -1e300, float("inf"), 0, 1e12):
        assert earlier("odd", None, odd, None, now + hour, now) is None
