"""Daily metrics, reports, and when they come."""

import asyncio
import csv
import io
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import psycopg
import pytest
from sqlalchemy import select

import workrow
from jobs import database
from jobs.analytics import metrics, rendering, service
from jobs.analytics import tasks as analytics
from jobs.analytics.models import QueueDay, Report, TaskDay
from jobs.bootstrap import database_url
from jobs.emails import tasks as emails
from jobs.settings import get_settings
from jobs.users import tasks as users
from tests.domains.conftest import MailServer, jobs, scalar
from workrow.testing import Clock, Harness

ROOT = Path(__file__).parent.parent.parent
DAY = date(2027, 3, 10)
OLD_SAMPLES = "SELECT count(*) FROM analytics_queue_samples WHERE sampled_at < '2027-12-31'"
pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture
def workrow_app(environment: dict[str, str]) -> workrow.App:
    """Only these domains: the schedules of the others would run for weeks, too."""
    app = workrow.App(database_url, sessions=database.session)
    return app.include(analytics.analytics, emails.emails, users.users)


def ended(
    conn: psycopg.Connection[Any],
    at: str,
    *,
    status: str = "succeeded",
    seconds: float = 1.0,
    attempts: int = 1,
    crashes: int = 0,
    task: str = "emails.send_welcome",
    queue: str = "emails",
) -> None:
    """A job that ended then."""
    values = (task, queue, status, attempts, crashes, at, at, seconds, at)
    conn.execute(
        """INSERT INTO workrow.history
               (id, priority, args, claims, task_name, queue_name, status, attempts, crashes,
                created_at, started_at, finished_at)
           VALUES (nextval('procrastinate_jobs_id_seq'), 0, '{}', 1, %s, %s, %s, %s, %s,
                   %s, CAST(%s AS timestamptz) - %s * interval '1 s', %s)""",
        values,
    )


async def aggregate(first: date = DAY, last: date = DAY) -> int:
    async with database.session() as session, session.begin():
        return await metrics.aggregate(session, first, last)


async def rows(first: date = DAY, last: date = DAY) -> list[TaskDay]:
    async with database.session() as session:
        return list(await session.scalars(metrics.task_days(first, last)))


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


async def test_monday_at_nine_last_weeks_report_is_mailed_once(
    workrow_jobs: Harness, workrow_clock: Clock, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKROW_REPORT_TO", "boss@example.com")
    get_settings.cache_clear()
    with workrow_clock.at("2027-03-15 08:50", "Europe/Berlin") as clock:
        await clock.run_for(minutes=9)
        assert mail.received == []
        ran = await clock.run_for(minutes=2)
        again = await analytics.weekly_report.enqueue(None, due_at=clock.now())
        await workrow_jobs.drain()
        assert await again.result(timeout=0) is None
    assert [each.task for each in ran if "report" in each.task] == [
        "analytics.weekly_report",
        "analytics.render_report",
        "analytics.send_report",
    ]
    (message,) = mail.received
    assert message["To"] == "boss@example.com"
    assert message["Subject"] == "Jobs from 2027-03-08 to 2027-03-14"
    assert message["Message-ID"] == "<report.weekly.2027-W10@workrow.example>"
    page = message.get_body(("html",))
    assert page is not None
    assert "<svg" in page.get_content()
    (table,) = message.iter_attachments()
    assert table.get_filename() == "jobs-2027-03-08-2027-03-14.csv"
    assert table.get_content_type() == "text/csv"
    assert next(csv.reader(io.StringIO(table.get_content()))) == list(rendering.COLUMNS)


async def test_a_monday_without_workers_is_made_up_for(workrow_jobs: Harness, workrow_clock: Clock) -> None:
    with workrow_clock.at("2027-03-14 12:00", "Europe/Berlin") as clock:
        await clock.advance(minutes=1)
        clock.jump(days=2)
        await workrow_jobs.tick()
        await workrow_jobs.drain()
    async with database.session() as session:
        (report,) = await session.scalars(select(Report))
    assert (report.cause, report.first_day, report.last_day) == (
        "weekly.2027-W10",
        date(2027, 3, 8),
        date(2027, 3, 14),
    )
    assert report.rendered_at is not None


async def test_a_report_that_was_sent_is_not_sent_again(
    workrow_jobs: Harness, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKROW_REPORT_TO", "boss@example.com")
    get_settings.cache_clear()
    report_id = await asked()
    for _ in range(2):
        await rendered(report_id)
        await analytics.send_report.enqueue(None, report_id=report_id)
    ran = await workrow_jobs.drain()
    assert [each.result for each in ran] == [True, False]
    assert len(mail.received) == 1


async def asked(first: date = DAY, last: date = DAY) -> int:
    async with database.session() as session, session.begin():
        return (await service.open_asked(session, first, last)).id


async def rendered(report_id: int) -> Report:
    """The report, rendered in this process, where that takes a moment."""

    def render() -> None:
        with database.blocking_session() as session, session.begin():
            service.render(session, report_id)

    await asyncio.to_thread(render)
    async with database.session() as session:
        return await service.rendered(session, report_id)


async def test_the_page_has_charts_no_script_and_no_markup_of_others(
    conn: psycopg.Connection[Any],
) -> None:
    for day in (9, 10):
        ended(conn, f"2027-03-{day} 12:00+01", seconds=day)
        ended(conn, f"2027-03-{day} 12:00+01", status="failed", task="<script>alert(1)</script>")
    await aggregate(date(2027, 3, 9), DAY)
    report_id = await asked(date(2027, 3, 9), DAY)
    report = await rendered(report_id)
    assert report.html is not None
    assert "<script" not in report.html
    assert "&lt;script&gt;" in report.html
    drawings = [ElementTree.fromstring(part.split("</svg>")[0] + "</svg>") for part in svgs(report.html)]
    svg = "{http://www.w3.org/2000/svg}"
    assert [len(each.findall(f".//{svg}rect")) for each in drawings] == [4, 2, 0, 0]  # no retries, two errors
    assert [len(each.findall(f".//{svg}polyline")) for each in drawings] == [0, 0, 2, 0]
    lines = list(csv.DictReader(io.StringIO(report.csv)))
    assert [(line["day"], line["finished"], line["success_rate"]) for line in lines] == [
        ("2027-03-09", "1", "0.0"),
        ("2027-03-09", "1", "1.0"),
        ("2027-03-10", "1", "0.0"),
        ("2027-03-10", "1", "1.0"),
    ]


def svgs(page: str) -> list[str]:
    return ["<svg" + part for part in page.split("<svg")[1:]]


async def test_a_report_on_nothing_says_so() -> None:
    report_id = await asked()
    report = await rendered(report_id)
    assert "No job ended on these days." in (report.html or "")


async def test_a_report_that_is_gone_is_discarded(application: workrow.App) -> None:
    with pytest.raises(service.NoSuchReport, match="there is no report 1"):
        await rendered(1)
    assert service.NoSuchReport in application.tasks["analytics.render_report"].retry_strategy.discard_on  # type: ignore


async def test_at_two_what_is_old_is_deleted(
    workrow_jobs: Harness, workrow_clock: Clock, conn: psycopg.Connection[Any]
) -> None:
    with workrow_clock.at("2027-03-10 12:00", "Europe/Berlin") as clock:
        await analytics.sample_queues.enqueue(None, due_at=clock.now())
        await workrow_jobs.drain()
        assert await aggregate() == 2
        await asked()
        clock.jump(days=400)
        await clock.run_for(hours=12)
        assert len(await rows()) == 1
        assert scalar(conn, "SELECT count(*) FROM analytics_reports WHERE cause LIKE 'asked.%%'") == 1
        assert scalar(conn, OLD_SAMPLES) == 1
        (ran,) = [each for each in await clock.run_for(hours=2) if each.task == "analytics.clean_up"]
    assert ran.result == {"rows": 3, "reports": 1}  # the task's day, the queue's day, its sample
    assert await rows() == []
    assert scalar(conn, "SELECT count(*) FROM analytics_reports WHERE cause LIKE 'asked.%%'") == 0
    assert scalar(conn, OLD_SAMPLES) == 0


@pytest.mark.parametrize(("zone", "said"), [("America/New_York", "America/New_York"), ("Nowhere", "Europe/Berlin")])
def test_the_schedules_are_in_the_accounts_zone(zone: str, said: str) -> None:
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
    assert ended.stdout.splitlines() == [f"0 9 * * mon {said}", f"0 2 * * * {said}"]


def test_rendering_is_bounded_and_in_a_process(application: workrow.App) -> None:
    execution = application.tasks["analytics.render_report"].execution  # type: ignore[attr-defined]
    assert (execution.run_in, execution.soft_seconds, execution.hard_seconds) == ("process", 540, 600)


async def test_a_report_is_asked_for_and_downloaded(
    client: httpx.AsyncClient, workrow_jobs: Harness, conn: psycopg.Connection[Any]
) -> None:
    ended(conn, "2027-03-10 12:00+01")
    await aggregate()
    answer = await client.post("/analytics/reports", json={"first_day": "2027-03-04", "last_day": "2027-03-10"})
    assert answer.status_code == 202
    id, job_id = answer.json()["report_id"], answer.json()["job_id"]
    assert [job["id"] for job in jobs(conn, "analytics.%")] == [job_id]
    assert (await client.get(f"/analytics/reports/{id}/html")).status_code == 409
    await workrow_jobs.drain()
    (listed,) = (await client.get("/analytics/reports")).json()
    assert (listed["id"], listed["first_day"]) == (id, "2027-03-04")
    assert listed["rendered_at"] is not None
    page = await client.get(f"/analytics/reports/{id}/html")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "emails.send_welcome" in page.text
    table = await client.get(f"/analytics/reports/{id}/csv")
    assert [line.split(",")[2] for line in table.text.splitlines()] == ["task", "emails.send_welcome"]
    assert "jobs-2027-03-04-2027-03-10.csv" in table.headers["content-disposition"]
    assert (await client.get(f"/analytics/reports?before={id}")).json() == []


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


async def test_a_report_that_is_not_there_is_404(client: httpx.AsyncClient) -> None:
    assert (await client.get("/analytics/reports/7/csv")).status_code == 404
