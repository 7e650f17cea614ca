"""The clock of the server steps, under a server of our own with libfaketime."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
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

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime: apt install faketime")

LEASE = 2.0
STEPS = [3600, -3600, 60, -60]


@pytest.fixture(scope="module")
def stepping() -> Iterator[tuple[SteppingClock, str]]:
    """The clock, and the URL of the server that has it."""
    directory = Path(tempfile.mkdtemp(prefix="workrow-clock-"))
    directory.chmod(0o755)
    clock = SteppingClock(directory)
    cluster = Cluster(directory, directory)
    try:
        with clock.in_force():
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
