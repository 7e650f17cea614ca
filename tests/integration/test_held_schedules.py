"""What an open transaction of a service holds stops no schedule but the one that needs it."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_held import SECONDS, service
from tests.integration.test_scheduler import HOUR, Ticker, ticker, worker
from workrow.database.held import AGAIN_SECONDS

pytestmark = pytest.mark.timed

__all__ = ["service", "ticker"]

HELD = [f"held{number}" for number in range(40)]
OTHERS = ["another", "one more", "other"]


def declare(app: workrow.App, **options: Any) -> None:
    """Hourly schedules: the first ones with these options, and others without any."""
    for name in [*HELD, *OTHERS]:
        given = {"queueing_lock": name} if options.get("queueing_lock") and name in HELD else options
        app.task(name=name, every=HOUR, **(given if name in HELD else {}))(job)


async def job() -> None: ...


def enqueued(conn: Any) -> list[str]:
    return [name for (name,) in conn.execute("SELECT task_name FROM procrastinate_jobs ORDER BY task_name").fetchall()]


def miss(conn: Any, names: list[str]) -> None:
    moved = "last_tick = now() - interval '1 h', next_due = now() - interval '1 h'"
    conn.execute(f"UPDATE workrow.timetable SET {moved} WHERE name = ANY(%s)", [names])


async def ticks_all_but_the_held(ticker: Ticker, conn: Any) -> None:
    scheduler = ticker.scheduler(max_delay=2 * HOUR)
    miss(conn, OTHERS)
    for _ in range(2):
        began = time.monotonic()
        assert await scheduler.run_once() <= timedelta(seconds=AGAIN_SECONDS)
        assert time.monotonic() - began < SECONDS
        assert set(enqueued(conn)) == set(OTHERS)
        conn.execute("DELETE FROM procrastinate_jobs")
        miss(conn, OTHERS)
    assert not any(ticker.state(name).skipped for name in HELD)


async def ticks_the_held_once(ticker: Ticker, conn: Any) -> None:
    schedulers = [ticker.scheduler(max_delay=2 * HOUR) for _ in range(2)]
    for _ in range(2):
        await asyncio.gather(*(each.run_once() for each in schedulers))
    assert enqueued(conn) == sorted([*HELD, *OTHERS])


@pytest.mark.parametrize(
    "options",
    [
        {"queueing_lock": True},
        {"unique": workrow.Unique(by=None)},
        {"debounce": workrow.Debounce(60, by=None)},
        {"throttle": workrow.Throttle(1, per=60, by=None)},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_schedules_whose_keys_are_held_wait_alone(
    options: dict[str, Any], ticker: Ticker, conn: Any, service: psycopg.Connection
) -> None:
    declare(ticker.app, **options)
    await ticker.declare()
    miss(conn, HELD)
    for name in HELD:
        ticker.app.tasks[name].enqueue(service)  # type: ignore[attr-defined]
    await ticks_all_but_the_held(ticker, conn)
    service.rollback()
    await ticks_the_held_once(ticker, conn)


async def test_schedules_whose_waiting_jobs_are_held_wait_alone(
    ticker: Ticker, conn: Any, service: psycopg.Connection
) -> None:
    declare(ticker.app, unique=workrow.Unique(by=None, on_conflict="replace"))
    await ticker.declare()
    miss(conn, HELD)
    for name in HELD:
        await ticker.app.tasks[name].enqueue(None)  # type: ignore[attr-defined]
    service.execute("SELECT workrow.cancel_job_v1(id) FROM procrastinate_jobs")
    scheduler = ticker.scheduler(max_delay=2 * HOUR)
    miss(conn, OTHERS)
    await scheduler.run_once()
    assert enqueued(conn) == sorted([*HELD, *OTHERS])
    assert ticker.state(HELD[0]).last_due_at is None
    service.commit()
    await ticker.scheduler(max_delay=2 * HOUR).run_once()
    assert enqueued(conn) == sorted([*HELD, *OTHERS])
    assert ticker.state(HELD[0]).last_due_at is not None


async def test_schedules_whose_rows_are_held_wait_alone(ticker: Ticker, conn: Any, service: psycopg.Connection) -> None:
    declare(ticker.app)
    await ticker.declare()
    miss(conn, HELD)
    service.execute("SELECT FROM workrow.timetable WHERE name = ANY(%s) FOR UPDATE", [HELD])
    await ticks_all_but_the_held(ticker, conn)
    service.rollback()
    await ticks_the_held_once(ticker, conn)


async def test_a_schedule_that_is_tried_again_keeps_no_other(
    ticker: Ticker, conn: Any, service: psycopg.Connection
) -> None:
    declare(ticker.app, queueing_lock=True)
    await ticker.declare()
    miss(conn, HELD)
    for name in HELD:
        ticker.app.tasks[name].enqueue(service)  # type: ignore[attr-defined]
    scheduler = ticker.scheduler(max_delay=2 * HOUR)
    await scheduler.run_once()
    miss(conn, OTHERS)
    scheduler._held = dict.fromkeys(HELD, 0.0)  # a second later
    began = time.monotonic()
    await scheduler.run_once()
    assert time.monotonic() - began < SECONDS
    assert enqueued(conn) == OTHERS
    service.commit()
    await ticker.scheduler(max_delay=2 * HOUR).run_once()
    assert enqueued(conn) == sorted([*HELD, *OTHERS])
    # somebody else's jobs took their places
    assert {ticker.state(name).skipped for name in HELD} == {1}


async def test_what_the_code_declares_is_written_down_as_far_as_nobody_holds_it(
    ticker: Ticker, conn: Any, service: psycopg.Connection
) -> None:
    declare(ticker.app)
    for name in HELD[:10]:
        service.execute("INSERT INTO workrow.timetable (name, last_tick) VALUES (%s, now())", [name])
    scheduler = ticker.scheduler()
    began = time.monotonic()
    await scheduler.start()
    assert time.monotonic() - began < SECONDS
    names = "SELECT name FROM workrow.timetable ORDER BY name"
    assert [name for (name,) in conn.execute(names)] == sorted([*HELD[10:], *OTHERS])
    assert await scheduler.run_once() <= timedelta(seconds=AGAIN_SECONDS)
    service.rollback()
    scheduler._declare_at = 0.0  # a second later
    await scheduler.run_once()
    assert [name for (name,) in conn.execute(names)] == sorted([*HELD, *OTHERS])


async def test_the_worker_goes_on_ticking(open_app: workrow.App, conn: Any, service: psycopg.Connection) -> None:
    ran = asyncio.Event()

    @open_app.task(name="report", every=timedelta(seconds=1), queueing_lock="report")
    async def report() -> None: ...

    @open_app.task(name="beat", every=timedelta(seconds=1))
    async def beat() -> None:
        ran.set()

    report.enqueue(service)
    async with worker(open_app):
        for _ in range(3):
            ran.clear()
            await ran.wait()
        over = "SELECT count(*) FROM workrow.history WHERE task_name = 'report'"
        assert conn.execute(over).fetchall() == [(0,)]
        service.rollback()
        while conn.execute(over).fetchall() == [(0,)]:
            await asyncio.sleep(0.05)


async def test_procrastinates_own_periodic_tasks_wait_alone(
    open_app: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    for name in ("report", "beat"):  # in this order

        @open_app.periodic(cron="* * * * * *")
        @open_app.task(name=name, queueing_lock=name)
        async def task(timestamp: int) -> None: ...

    service.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock) VALUES ('default', 'theirs', 'report')"
    )
    over = "SELECT count(*) FROM workrow.history WHERE task_name = %s"

    async def ran(name: str, times: int) -> None:
        while conn.execute(over, [name]).fetchone()[0] < times:
            await asyncio.sleep(0.05)

    async with worker(open_app):
        await ran("beat", 3)
        assert conn.execute(over, ["report"]).fetchone() == (0,)
        service.rollback()
        await ran("report", 1)
