"""Reports: asked for, rendered once, mailed once."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, undefer

from jobs import database
from jobs.analytics import metrics, rendering
from jobs.analytics.models import Report
from jobs.emails import letters
from jobs.emails import service as emails
from jobs.settings import get_settings

LONGEST = 366


class NoSuchReport(Exception):
    """There is no report with this id."""


class NotRendered(Exception):
    """The report has no content yet."""


class BadRange(Exception):
    """The days end before they begin, or are too many."""


@dataclass(frozen=True)
class CleanUp:
    """What `clean_up` deleted.

    Attributes:
        rows: of the metrics and their samples.
        reports: how many reports.
    """

    rows: int
    reports: int


def check_range(first_day: date, last_day: date) -> None:
    """Raise BadRange unless these are 1 to 366 days."""
    days = (last_day - first_day).days + 1
    if not 1 <= days <= LONGEST:
        raise BadRange(f"{first_day} to {last_day} are {days} days: ask for 1 to {LONGEST}, the earlier one first")


async def open_weekly(session: AsyncSession, due_at: datetime) -> Report | None:
    """The report on the week before this moment, Monday to Sunday in the account's zone.

    Returns:
        None if the week has one already.
    """
    today = due_at.astimezone(ZoneInfo(get_settings().account_timezone)).date()
    monday = today - timedelta(days=today.weekday() + 7)
    year, week, _ = monday.isocalendar()
    return await _open(session, f"weekly.{year}-W{week:02}", monday, monday + timedelta(days=6))


async def open_asked(session: AsyncSession, first_day: date, last_day: date) -> Report:
    """A report that somebody asked for; each has a cause of its own.

    Raises:
        BadRange: see `check_range`.
    """
    check_range(first_day, last_day)
    report = await _open(session, f"asked.{uuid.uuid4().hex}", first_day, last_day)
    assert report is not None
    return report


async def _open(session: AsyncSession, cause: str, first_day: date, last_day: date) -> Report | None:
    statement = insert(Report).values(cause=cause, first_day=first_day, last_day=last_day)
    return await session.scalar(statement.on_conflict_do_nothing().returning(Report))


def refresh(session: Session, report_id: int) -> None:
    """Compute the metrics of a report anew that is to be rendered. The caller commits right after: others wait.

    Raises:
        NoSuchReport: it is gone.
    """
    report = _locked(session, report_id)
    if report.rendered_at is None:
        metrics.refresh(session, report.first_day, report.last_day)


def render(session: Session, report_id: int) -> int:
    """Write the report's HTML and CSV, unless it has them: a second run changes nothing. Blocks, for a child process.

    Returns:
        How many rows of metrics it is made of.

    Raises:
        NoSuchReport: it is gone.
    """
    report = _locked(session, report_id)
    tasks = session.scalars(metrics.task_days(report.first_day, report.last_day)).all()
    if report.rendered_at is None:
        queues = session.scalars(metrics.queue_days(report.first_day, report.last_day)).all()
        zone = get_settings().account_timezone
        report.html = rendering.html(report.first_day, report.last_day, zone, tasks, queues)
        report.csv = rendering.csv_of(tasks, queues)
        report.rendered_at = func.now()
    return len(tasks)


def _locked(session: Session, report_id: int) -> Report:
    report = session.get(Report, report_id, with_for_update=True)
    if report is None:
        raise NoSuchReport(f"there is no report {report_id}")
    return report


async def rendered(session: AsyncSession, report_id: int) -> Report:
    """The report with its content.

    Raises:
        NoSuchReport: there is none.
        NotRendered: its job has not run yet.
    """
    found = select(Report).where(Report.id == report_id).options(undefer(Report.html), undefer(Report.csv))
    report = await session.scalar(found)
    if report is None:
        raise NoSuchReport(f"there is no report {report_id}")
    if report.rendered_at is None:
        raise NotRendered(f"report {report_id} is not rendered yet: ask its job how far it is")
    return report


async def mail(session: AsyncSession, report_id: int, *, job_id: int | None) -> bool:
    """Mail the report to ``report_to``, once for each cause. The caller commits right after.

    Returns:
        Whether it was sent now; False if it was before, or nobody is to have it.

    Raises:
        NoSuchReport, NotRendered: as `rendered`.
        RefusedAddress: the mail server will never take it.
    """
    recipient = get_settings().report_to
    if recipient is None:
        return False
    report = await rendered(session, report_id)
    assert report.html is not None
    assert report.csv is not None
    cause = f"report.{report.cause}"
    subject = f"Jobs from {report.first_day} to {report.last_day}"
    message = letters.envelope(subject, "", recipient, cause=cause)
    message.set_content(f"{subject}: the report is the HTML part of this e-mail, its figures are attached as CSV.\n")
    message.add_alternative(report.html, subtype="html")
    name = f"jobs-{report.first_day}-{report.last_day}.csv"
    message.add_attachment(report.csv.encode(), maintype="text", subtype="csv", filename=name)
    return await emails.send_once(session, message, cause=cause, kind="report", recipient=recipient, job_id=job_id)


async def clean_up(session: AsyncSession) -> CleanUp:
    """Delete samples after two weeks, and metrics and reports after ``analytics_keep_days``."""
    kept = timedelta(days=get_settings().analytics_keep_days)
    rows = await metrics.forget(session, days_before=await session.run_sync(metrics.today) - kept)
    gone = await session.execute(delete(Report).where(Report.requested_at < func.now() - kept))
    return CleanUp(rows, database.rowcount(gone))
