"""A producer whose clock is an hour off: what starts so long after the call does so by the database's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

import workrow
from tests.integration.test_heart import until
from workrow.database import clock

WAIT = (
    "SELECT extract(EPOCH FROM coalesce(due_at, scheduled_at) - created_at)::float8 FROM procrastinate_jobs ORDER BY id"
)
DELAY = 600


@pytest.fixture(params=[-1, 1], ids=["an hour slow", "an hour fast"])
def wrong_clock(request: pytest.FixtureRequest) -> Iterator[None]:
    before = clock.move(lambda: datetime.now(UTC) + timedelta(hours=request.param))
    yield
    clock.move(before)


@pytest.fixture
async def app(database_url: str, wrong_clock: None) -> AsyncIterator[workrow.App]:
    app = workrow.App(database_url)

    @app.task(name="plain")
    def plain(n: int = 0) -> None: ...

    @app.task(name="limited", limits=workrow.Limit(1))
    def limited(n: int = 0) -> None: ...

    async with app.open_async():
        yield app


async def copied(task: Any, url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await task.options(delay=DELAY).enqueue_copy(connection, [{"n": 1}, {"n": 2}])


async def copied_sync(task: Any, url: str) -> None:
    with psycopg.connect(url) as connection:
        task.options(delay=DELAY).enqueue_copy(connection, [{"n": 1}])


async def in_a_session(task: Any, url: str) -> None:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        task.options(delay=timedelta(seconds=DELAY)).enqueue(connection)
    engine.dispose()


async def deferred(task: Any, url: str) -> None:
    await task.configure(schedule_in={"minutes": 10}).defer_async(n=1)
    await task.blueprint.configure_task(task.name, schedule_in={"seconds": DELAY}).batch_defer_async({"n": 1}, {"n": 2})


async def hooked(task: Any, url: str) -> None:
    @task.blueprint.around_enqueue
    def nothing(enqueue: Any) -> Iterator[None]:
        yield

    await task.configure(schedule_in={"minutes": 10}).defer_async(n=1)
    await task.options(delay=DELAY).enqueue(None)


DOORS: list[Callable[[Any, str], Awaitable[Any]]] = [
    lambda task, url: task.options(delay=DELAY).enqueue(None),
    lambda task, url: task.options(delay=DELAY).enqueue_many(None, [{"n": 1}, {"n": 2}]),
    lambda task, url: task.options(delay=DELAY, unique=("n",)).enqueue(None, n=1),
    lambda task, url: task.options(delay=DELAY, expires=60).enqueue(None),
    copied,
    copied_sync,
    in_a_session,
    deferred,
    hooked,
]


@pytest.mark.parametrize("name", ["plain", "limited"])
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
async def test_every_door_sends_the_interval(app: workrow.App, conn: Any, door: Any, name: str) -> None:
    await door(app.tasks[name], app.database_url)
    waits = [wait for (wait,) in conn.execute(WAIT)]
    assert waits
    assert all(abs(wait - DELAY) < 5 for wait in waits), waits


async def test_celerys_countdown(app: workrow.App, conn: Any) -> None:
    app.tasks["plain"].apply_async(countdown=DELAY)  # type: ignore[attr-defined]
    app.tasks["plain"].options(delay=DELAY).delay()  # type: ignore[attr-defined]
    assert all(abs(wait - DELAY) < 5 for (wait,) in conn.execute(WAIT))
    app.close()


async def test_an_unknown_task(app: workrow.App, conn: Any) -> None:
    await app.configure_task("elsewhere", schedule_in={"seconds": DELAY}).defer_async()
    assert all(abs(wait - DELAY) < 5 for (wait,) in conn.execute(WAIT))


async def test_an_expiry_counts_from_there(app: workrow.App, conn: Any) -> None:
    await app.tasks["plain"].options(delay=DELAY, expires=60).enqueue(None)  # type: ignore[attr-defined]
    left = conn.execute(
        "SELECT extract(EPOCH FROM expires_at - created_at)::float8 FROM procrastinate_jobs"
    ).fetchone()[0]
    assert abs(left - DELAY - 60) < 5


async def test_an_absolute_time_is_taken_as_it_is(app: workrow.App, conn: Any) -> None:
    at = datetime.now(UTC) + timedelta(hours=5)
    await app.tasks["plain"].options(at=at).enqueue(None)  # type: ignore[attr-defined]
    await app.tasks["plain"].configure(schedule_at=at).defer_async()
    assert [found for (found,) in conn.execute("SELECT scheduled_at FROM procrastinate_jobs")] == [at, at]


def test_what_is_computed_from_it_is_a_time_as_any_other() -> None:
    later = clock.Later.after(60)
    assert clock.parted(later) == (None, 60)
    assert clock.parted(later + timedelta(hours=1)) == (later + timedelta(hours=1), None)


async def test_errors_tell_the_databases_time(app: workrow.App, conn: Any) -> None:
    """Of a worker whose clock is wrong; of a retry, of an end, and of a job that ends in favour of a newer one."""

    @app.task(name="fails", retry=workrow.Retry(max_attempts=2, wait=0))
    async def fails(lasts: float = 0.0) -> None:
        await asyncio.sleep(lasts)
        raise OSError("no")

    await fails.enqueue(None)
    await fails.options(queueing_lock="k").enqueue(None, lasts=0.5)
    worker = asyncio.create_task(app.run_worker_async(install_signal_handlers=False))
    await until(lambda: conn.execute("SELECT 1 FROM procrastinate_jobs WHERE args ->> 'lasts' = '0.5'").fetchone())
    await until(
        lambda: conn.execute(
            "SELECT 1 FROM procrastinate_jobs WHERE status = 'doing' AND queueing_lock = 'k'"
        ).fetchone()
    )
    conn.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, scheduled_at)"
        " VALUES ('default', 'fails', 'k', now() + interval '1 h')"
    )
    await until(lambda: conn.execute("SELECT count(*) FROM workrow.history").fetchone() == (2,))
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    query = """
        SELECT status::text, extract(EPOCH FROM clock_timestamp() - CAST(error ->> 'at' AS timestamptz))::float8
        FROM workrow.history CROSS JOIN jsonb_array_elements(errors) AS error
    """
    told = conn.execute(query).fetchall()
    assert sorted(status for status, _ in told) == ["cancelled", "cancelled", "failed", "failed"]
    assert all(0 <= age < 30 for _, age in told), told
