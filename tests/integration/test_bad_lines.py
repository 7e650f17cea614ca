"""A line that cannot be used stops no other, and health tells it: of @app.periodic and in rows of an old release."""

import asyncio
import json
import logging
import socket
import urllib.request
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from procrastinate.periodic import PeriodicTask

import workrow
from tests.integration.test_heart import until
from tests.integration.test_scheduler import HOUR, Ticker, declare, hourly, worker


@pytest.fixture
def ticker(open_app: workrow.App, conn: psycopg.Connection[Any]) -> Ticker:
    return Ticker(open_app, conn)


def registered(app: workrow.App, task: Any, cron: Any, **options: Any) -> None:
    """As by an old release, or by procrastinate's own registry: nobody looked at the line."""
    known = app.periodic_registry.periodic_tasks
    known[(task.name, cron)] = PeriodicTask(task=task, cron=cron, periodic_id="", configure_kwargs=options)  # type: ignore[arg-type]


def ask(health: str) -> Any:
    with urllib.request.urlopen(f"http://{health}") as answer:
        return json.load(answer)


@pytest.mark.parametrize(
    ("cron", "options", "problem"),
    [
        ("61 * * * *", {}, "CroniterBadCronError"),
        (None, {}, "AttributeError"),
        ("* * * * * *", {"priority": "high"}, ""),
        ("* * * * * * 2035", {}, None),
        ("* * * * * * 2001", {}, None),
    ],
)
async def test_a_periodic_task_that_cannot_be_deferred_stops_no_other(
    open_app: workrow.App, conn: Any, cron: Any, options: dict[str, Any], problem: str | None
) -> None:
    @open_app.task(name="bad", queue="nobody")
    async def bad(timestamp: int) -> None: ...

    @open_app.task(name="good", queue="nobody")
    async def good(timestamp: int) -> None: ...

    registered(open_app, bad, cron, **options)
    open_app.periodic(cron="* * * * * *")(good)
    with socket.create_server(("127.0.0.1", 0)) as free:
        health = f"127.0.0.1:{free.getsockname()[1]}"
    async with worker(open_app, health=health, queues=["other"]):
        jobs = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'good'"
        await until(lambda: conn.execute(jobs).fetchone()[0] >= 2)
        told = await asyncio.to_thread(ask, health)
    assert told["status"] == "ok"
    if problem is None:
        assert told["warnings"] == []
    else:
        (warning,) = told["warnings"]
        assert warning.startswith(f"bad: cron={cron!r}: no jobs: {problem}")
        assert "\n" not in warning
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'bad'").fetchone() == (0,)


@pytest.mark.parametrize("line", ["61 * * * *", "", "0 0 30 2 *", "0 9 * * L2", "@dayly"])
async def test_a_row_of_an_old_release_stops_no_other(ticker: Ticker, conn: psycopg.Connection[Any], line: str) -> None:
    declare(ticker.app, [hourly(name="bad"), hourly(name="good")])
    await ticker.declare()
    ticker.miss(HOUR)
    conn.execute("UPDATE workrow.timetable SET cron = %s WHERE name = 'ticking:bad'", [line])
    scheduler = ticker.scheduler(HOUR)
    await scheduler.run_once()
    assert len(ticker.due()) == 1
    assert f"cron={line!r}: " in (ticker.state("ticking:bad").skip_reason or "")
    (problem,) = scheduler.problems.values()
    assert problem.startswith(f"schedule ticking:bad: no jobs: cron={line!r}: ")
    # the code's own line comes back, with the next worker or the next touch
    await scheduler.start()
    ticker.miss(HOUR)
    await scheduler.run_once()
    assert scheduler.problems == {}


async def test_a_row_that_no_calendar_can_follow_stops_no_other(ticker: Ticker, conn: psycopg.Connection[Any]) -> None:
    declare(ticker.app, [workrow.Schedule(every=HOUR, name="bad"), hourly(name="good")])
    await ticker.declare()
    ticker.miss(HOUR)
    conn.execute("UPDATE workrow.timetable SET every = '9000 years' WHERE name = 'ticking:bad'")
    scheduler = ticker.scheduler(HOUR)
    await scheduler.run_once()
    assert len(ticker.due()) == 1
    assert list(scheduler.problems) == ["ticking:bad"]


async def test_a_stored_line_of_two_readings_goes_on_as_it_was(ticker: Ticker, conn: psycopg.Connection[Any]) -> None:
    task = declare(ticker.app, ())
    await ticker.app.schedules.create_async("by hand", task, every=HOUR, args={"who": "Ada"})
    # cronsim: each minute of a Monday, a Tuesday …; croniter: each minute of each day
    conn.execute("UPDATE workrow.timetable SET every = NULL, timezone = 'UTC', cron = '* * */1 * 0-5/1,6'")
    ticker.miss(timedelta(minutes=5))
    scheduler = ticker.scheduler(HOUR)
    await scheduler.run_once()
    assert len(ticker.due()) == 1
    assert scheduler.problems == {}
    # what is changed beside it leaves it as it is; a new one is refused
    await ticker.app.schedules.update_async("by hand", priority=3)
    with pytest.raises(workrow.OptionError, match="two readings"):
        await ticker.app.schedules.create_async("another", task, cron="0 9 */2 * mon")


async def test_what_older_workers_cannot_read_is_stored_as_they_do(ticker: Ticker) -> None:
    declare(ticker.app, [workrow.Schedule(name="a", cron="@daily"), workrow.Schedule(name="b", cron="0 9 * * Fri-MON")])
    await ticker.declare()
    assert [ticker.state(f"ticking:{name}").cron for name in "ab"] == ["0 0 * * *", "0 9 * * 5,6,0,1"]


async def test_an_app_without_periodic_tasks_does_not_speak_of_them(
    open_app: workrow.App, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    declare(open_app, hourly())
    async with worker(open_app):
        await until(lambda: "started" in caplog.text)
    assert "No periodic task" not in caplog.text
