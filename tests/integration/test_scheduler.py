"""Periodic tasks are enqueued once for each due time, whoever else ticks."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import workrow
from workrow.maintenance.scheduler import LONGEST_SLEEP, Scheduler


class At(Scheduler):
    """A scheduler whose clock stands where the test puts it."""

    now = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)

    async def _now(self) -> datetime:
        return self.now


@pytest.fixture
def ticking(open_app: workrow.App) -> workrow.Task[[], None]:
    @open_app.task(name="ticking", cron="* * * * *", queue="clock", priority=5)
    async def ticking() -> None: ...

    return ticking


@pytest.fixture
async def scheduler(open_app: workrow.App, ticking: Any, conn: Any) -> At:
    scheduler = At(open_app.connector, [ticking])
    await scheduler.start()
    conn.execute("UPDATE workrow.schedules SET last_tick = %s", [At.now])
    return scheduler


def count(conn: Any) -> int:
    return int(conn.execute("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'ticking'").fetchone()[0])


async def test_nothing_is_made_up_for_before_it_was_declared(scheduler: At, conn: Any) -> None:
    assert await scheduler.run_once() == timedelta(seconds=30)
    assert count(conn) == 0


async def test_a_due_time_is_enqueued_once(scheduler: At, open_app: workrow.App, ticking: Any, conn: Any) -> None:
    others = [At(open_app.connector, [ticking]) for _ in range(5)]
    for each in [scheduler, *others]:
        each.now = At.now + timedelta(seconds=31)
    await asyncio.gather(*(each.run_once() for each in [scheduler, *others]))
    await scheduler.run_once()
    assert count(conn) == 1
    assert conn.execute("SELECT queue_name, priority, args FROM procrastinate_jobs").fetchone() == ("clock", 5, {})


async def test_a_scheduler_that_slept_does_not_repeat_an_older_tick(
    scheduler: At, open_app: workrow.App, ticking: Any, conn: Any
) -> None:
    late = At(open_app.connector, [ticking])
    late.now = At.now + timedelta(minutes=1)
    for minutes in (1, 2, 3):
        scheduler.now = At.now + timedelta(minutes=minutes)
        await scheduler.run_once()
    await late.run_once()
    assert count(conn) == 3


async def test_what_was_missed_for_long_is_skipped(scheduler: At, conn: Any) -> None:
    scheduler._max_delay = timedelta(seconds=10)
    scheduler.now = At.now + timedelta(seconds=55)
    await scheduler.run_once()
    assert count(conn) == 0


async def test_a_queueing_lock_skips_the_tick(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="ticking", every=timedelta(seconds=10), queueing_lock="one")
    async def ticking() -> None: ...

    scheduler = At(open_app.connector, [ticking])
    await scheduler.start()
    conn.execute("UPDATE workrow.schedules SET last_tick = %s", [At.now])
    for seconds in (10, 20, 30):
        scheduler.now = At.now + timedelta(seconds=seconds)
        assert await scheduler.run_once() == timedelta(seconds=10)
    assert count(conn) == 1


async def test_without_schedules_it_sleeps(open_app: workrow.App) -> None:
    assert await Scheduler(open_app.connector, []).run_once() == LONGEST_SLEEP


async def test_the_worker_runs_it(open_app: workrow.App, conn: Any) -> None:
    ran = asyncio.Event()

    @open_app.task(name="ticking", every=timedelta(seconds=1))
    async def ticking(timestamp: int) -> int:
        ran.set()
        return timestamp

    worker = asyncio.create_task(
        open_app.run_worker_async(install_signal_handlers=False, fetch_job_polling_interval=0.1)
    )
    try:
        async with asyncio.timeout(10):
            await ran.wait()
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    assert conn.execute("SELECT args ? 'timestamp' FROM workrow.jobs LIMIT 1").fetchone() == (True,)


async def test_procrastinates_own_periodic_tasks_run_too(open_app: workrow.App) -> None:
    ran = asyncio.Event()

    @open_app.periodic(cron="* * * * * *")
    @open_app.task(name="upstream.style", pass_context=True)
    async def old(context: Any, timestamp: int) -> None:
        ran.set()

    worker = asyncio.create_task(
        open_app.run_worker_async(install_signal_handlers=False, fetch_job_polling_interval=0.1)
    )
    try:
        async with asyncio.timeout(10):
            await ran.wait()
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
