"""Daily metrics, and when they come."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import select

import workrow
from jobs import database
from jobs.analytics import metrics
from jobs.analytics import tasks as analytics
from jobs.analytics.models import QueueDay
from jobs.emails import tasks as emails
from jobs.settings import declared_timezone, get_settings
from tests.domains.analytics_days import DAY, aggregate, asked, ended, rows, small_app
from tests.domains.conftest import MailServer, scalar
from workrow.testing import Clock, Harness

ROOT = Path(__file__).parent.parent.parent
OLD_SAMPLES = "SELECT count(*) FROM analytics_queue_samples WHERE sampled_at < '2027-12-31'"
pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture
def workrow_app(environment: dict[str, str]) -> workrow.App:
    return small_app()


async def test_the_five_metrics_of_a_day(conn: psycopg.Connection[Any]) -> None:
    for seconds in range(1, 101):
        ended(conn, "2027-03-10 12:00+01", seconds=seconds)
    ended(conn, "2027-03-10 12:00+01", status="failed", attempts=4, seconds=50.5)
    ended(conn, "2027-03-10 12:00+01", attempts=3, crashes=1, seconds=50.5)
    ended(conn, "2027-03-10 12:00+01", status="cancelled", attempts=0)
    ended(conn, "2027-03-10 12:00+01", queue="other")
    await aggregate()
    row, other = await rows()
    assert (row.queue, row.task, other.queue) == ("emails", "emails.send_welcome", "other")
    assert (row.finished, row.succeeded, row.failed, row.cancelled) == (103, 101, 1, 1)
    assert row.success_rate == 101 / 102
    assert row.processing_p50_seconds == 50.5
    assert row.processing_p95_seconds == pytest.approx(94.95, abs=0.1)
    assert row.retries == 3 + 2
    assert (row.attempts, row.errors) == (100 + 4 + 3 + 1, 4 + 2 + 1)
    assert row.error_rate == 7 / 108


async def test_days_are_those_of_the_accounts_zone(
    conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(conn, "2027-03-10 23:30+00")
    await aggregate(DAY, date(2027, 3, 11))
    assert [row.day for row in await rows(DAY, date(2027, 3, 11))] == [date(2027, 3, 11)]
    monkeypatch.setenv("WORKROW_ACCOUNT_TIMEZONE", "America/New_York")
    get_settings.cache_clear()
    await aggregate(DAY, date(2027, 3, 11))
    assert [row.day for row in await rows(DAY, date(2027, 3, 11))] == [DAY]


async def test_a_day_of_25_hours_counts_each_job_once(conn: psycopg.Connection[Any]) -> None:
    for at in ("2027-10-31 00:00+02", "2027-10-31 02:30+02", "2027-10-31 02:30+01", "2027-10-31 23:59+01"):
        ended(conn, at)
    ended(conn, "2027-11-01 00:00+01")
    first, last = date(2027, 10, 30), date(2027, 11, 1)
    await aggregate(first, last)
    assert [(row.day.day, row.finished) for row in await rows(first, last)] == [(31, 4), (1, 1)]


async def test_computing_a_day_again_gives_the_same_row_and_takes_in_what_came_late(
    conn: psycopg.Connection[Any],
) -> None:
    ended(conn, "2027-03-10 12:00+01")
    ended(conn, "2027-03-10 12:00+01", status="failed", task="emails.send_verification")
    assert await aggregate() == 2
    query = "SELECT array_agg(CAST(day_row AS text) ORDER BY task) FROM analytics_task_days AS day_row"
    first = scalar(conn, query)
    assert await aggregate() == 2
    assert scalar(conn, query) == first
    ended(conn, "2027-03-10 13:00+01")
    conn.execute("DELETE FROM workrow.history WHERE status = 'failed'")  # what a retry does to it
    assert await aggregate() == 1
    (row,) = await rows()
    assert (row.task, row.finished, row.success_rate) == ("emails.send_welcome", 2, 1.0)


async def test_a_queue_is_sampled_once_for_each_moment(conn: psycopg.Connection[Any]) -> None:
    for number, hour in enumerate((8, 9, 10)):
        await emails.send_welcome.enqueue(None, user_id=number)
        for _ in range(2):
            async with database.session() as session, session.begin():
                await metrics.sample(session, datetime(2027, 3, 10, hour, tzinfo=UTC))
    await aggregate()
    async with database.session() as session:
        (row,) = await session.scalars(select(QueueDay))
    assert (row.day, row.queue, row.samples, row.mean_length, row.max_length) == (DAY, "emails", 3, 2.0, 3)


async def test_the_schedules_measure_a_real_day(
    workrow_jobs: Harness, workrow_clock: Clock, mail: MailServer, conn: psycopg.Connection[Any]
) -> None:
    with workrow_clock.at("2027-03-10 10:00", "Europe/Berlin") as clock:
        await emails.send_welcome.enqueue(None, user_id=12345)  # nobody: it is discarded
        await clock.run_for(hours=2, raise_on_failure=False)
    found = {row.task: row for row in await rows()}
    assert found["emails.send_welcome"].success_rate == 0.0
    assert found["analytics.sample_queues"].succeeded == 4  # of 10:15 to 11:00; those since wait for 12:05
    assert scalar(conn, "SELECT count(DISTINCT sampled_at) FROM analytics_queue_samples") == 8


async def test_at_two_what_is_old_is_deleted(
    workrow_jobs: Harness, workrow_clock: Clock, conn: psycopg.Connection[Any]
) -> None:
    with workrow_clock.at("2027-03-10 12:00", "Europe/Berlin") as clock:
        await analytics.sample_queues.enqueue(None, due_at=clock.now())
        await workrow_jobs.drain()
        assert await aggregate() == 2
        await asked()
        clock.jump(days=400, hours=12, minutes=55)  # in summer's time that is 1:55
        await clock.run_for(minutes=4)
        assert len(await rows()) == 1
        assert scalar(conn, "SELECT count(*) FROM analytics_reports WHERE cause LIKE 'asked.%%'") == 1
        assert scalar(conn, OLD_SAMPLES) == 1
        (ran,) = [each for each in await clock.run_for(minutes=2) if each.task == "analytics.clean_up"]
    assert ran.result == {"rows": 3, "reports": 1}  # the task's day, the queue's day, its sample
    assert await rows() == []
    assert scalar(conn, "SELECT count(*) FROM analytics_reports WHERE cause LIKE 'asked.%%'") == 0
    assert scalar(conn, OLD_SAMPLES) == 0


def test_the_schedules_are_in_the_accounts_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = "America/New_York"
    code = (
        "from app import app\n"
        "for name in ('weekly_report', 'clean_up'):\n"
        "    timing = app.tasks[f'analytics.{name}'].schedule.timing\n"
        "    print(timing.expression, timing.timezone)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"WORKROW_ACCOUNT_TIMEZONE": zone},
        text=True,
        timeout=60,
        capture_output=True,
        check=True,
    )
    assert ended.stdout.splitlines() == [f"0 9 * * mon {zone}", f"0 2 * * * {zone}"]
    monkeypatch.setenv("WORKROW_ACCOUNT_TIMEZONE", "Nowhere")
    assert declared_timezone() == "Europe/Berlin"


async def test_metrics_are_read_by_range_queue_and_task(
    client: httpx.AsyncClient, conn: psycopg.Connection[Any]
) -> None:
    ended(conn, "2027-03-10 12:00+01")
    ended(conn, "2027-03-11 12:00+01", queue="other")
    await aggregate(DAY, DAY + timedelta(days=1))
    span = {"first_day": "2027-03-01", "last_day": "2027-03-31"}
    both = (await client.get("/analytics/metrics", params=span)).json()
    assert [row["queue"] for row in both["tasks"]] == ["emails", "other"]
    assert both["tasks"][0]["success_rate"] == 1.0
    for narrower in ({"queue": "other"}, {"task": "emails.send_welcome", "first_day": "2027-03-11"}):
        found = (await client.get("/analytics/metrics", params=span | narrower)).json()
        assert [row["day"] for row in found["tasks"]] == ["2027-03-11"]


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2027-03-10", "2027-03-09", "2027-03-10 to 2027-03-09 are 0 days"),
        ("2026-01-01", "2027-03-09", "ask for 1 to 366"),
        ("yesterday", "2027-03-09", "valid date"),
    ],
)
async def test_a_wrong_range_is_422(client: httpx.AsyncClient, first: str, last: str, said: str) -> None:
    for answer in (
        await client.get("/analytics/metrics", params={"first_day": first, "last_day": last}),
        await client.post("/analytics/reports", json={"first_day": first, "last_day": last}),
    ):
        assert answer.status_code == 422
        assert said in answer.text
