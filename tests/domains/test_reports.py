"""Reports: rendered once, mailed once, on Mondays or when somebody asks."""

import asyncio
import csv
import io
from datetime import date
from typing import Any
from xml.etree import ElementTree

import httpx
import psycopg
import pytest
from sqlalchemy import select

import workrow
from jobs import database
from jobs.analytics import rendering, service
from jobs.analytics import tasks as analytics
from jobs.analytics.models import Report
from jobs.settings import get_settings
from tests.domains.analytics_days import DAY, aggregate, asked, ended, small_app
from tests.domains.conftest import MailServer, jobs
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture
def workrow_app(environment: dict[str, str]) -> workrow.App:
    return small_app()


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


async def test_a_report_sees_to_fresh_metrics_of_its_days(
    workrow_jobs: Harness, workrow_clock: Clock, conn: psycopg.Connection[Any]
) -> None:
    """Of those whose samples are still there: an older day would lose what was measured of its queues."""
    with workrow_clock.at("2027-03-10 12:00", "Europe/Berlin"):
        conn.execute("INSERT INTO analytics_queue_days VALUES ('2027-02-24', 'emails', 96, 2.5, 7)")
        for day in ("02-24", "02-25", "03-10"):
            ended(conn, f"2027-{day} 11:59+01")
        report_id = await asked(date(2027, 2, 1), date(2027, 3, 31))
        assert await analytics.render_report.enqueue(None, report_id=report_id)
        await workrow_jobs.drain()
    async with database.session() as session:
        table = (await service.rendered(session, report_id)).csv or ""
    found = {(line["day"], line["task"], line["queue_length_max"]) for line in csv.DictReader(io.StringIO(table))}
    assert found == {
        ("2027-02-24", "", "7"),
        ("2027-02-25", "emails.send_welcome", ""),
        ("2027-03-10", "emails.send_welcome", ""),
    }


async def test_a_report_that_is_not_there_is_404(client: httpx.AsyncClient) -> None:
    assert (await client.get("/analytics/reports/7/csv")).status_code == 404
