"""Metrics of a range of days, and reports."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from jobs.analytics import metrics, service, tasks
from jobs.analytics.models import Report
from jobs.api.requests import LARGEST, Form, PathId, Transaction, View, problems

routes = APIRouter(tags=["analytics"], prefix="/analytics")
REFUSALS: dict[type[Exception], int] = {service.NoSuchReport: 404, service.NotRendered: 409, service.BadRange: 422}
Name = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
# a report is a page of ours on this origin: it may draw itself, and nothing else
POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


class TaskDayView(View):
    """How the jobs of one task in one queue went on one day; rates are 0 to 1."""

    day: date
    queue: str
    task: str
    finished: int
    succeeded: int
    failed: int
    cancelled: int
    success_rate: float | None
    processing_p50_seconds: float | None
    processing_p95_seconds: float | None
    retries: int
    attempts: int
    errors: int
    error_rate: float | None


class QueueDayView(View):
    """How long a queue was on one day."""

    day: date
    queue: str
    samples: int
    mean_length: float
    max_length: int


class Metrics(BaseModel):
    """The metrics of a range of days."""

    tasks: list[TaskDayView]
    queues: list[QueueDayView]


class ReportForm(Form):
    """The days that a report is wanted on, both included."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"first_day": "2027-03-01", "last_day": "2027-03-07"}]})

    first_day: date
    last_day: date


class ReportView(View):
    """A report without its content. ``rendered_at`` is null until its job has run."""

    id: int
    cause: str
    first_day: date
    last_day: date
    requested_at: datetime
    rendered_at: datetime | None


class ReportAsked(BaseModel):
    """The report, and the job that renders it."""

    report_id: int
    job_id: int = Field(description="of the job: see /jobs/{id}")


@routes.get("/metrics")
async def read_metrics(
    first_day: date, last_day: date, session: Transaction, queue: Name = None, task: Name = None
) -> Metrics:
    """The five metrics of these days of the account's time zone, at most an hour old."""
    service.check_range(first_day, last_day)
    found = await session.scalars(metrics.task_days(first_day, last_day, queue=queue, task=task))
    lengths = await session.scalars(metrics.queue_days(first_day, last_day, queue=queue))
    return Metrics(
        tasks=[TaskDayView.model_validate(each) for each in found],
        queues=[QueueDayView.model_validate(each) for each in lengths],
    )


@routes.get("/reports")
async def list_reports(
    session: Transaction,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[int, Query(ge=1, le=LARGEST, description="reports with a smaller id")] = LARGEST,
) -> list[ReportView]:
    """The newest reports first."""
    found = await session.scalars(select(Report).where(Report.id < before).order_by(Report.id.desc()).limit(limit))
    return [ReportView.model_validate(each) for each in found]


@routes.post("/reports", status_code=202)
async def ask_for_report(form: ReportForm, session: Transaction) -> ReportAsked:
    """Have a report rendered now."""
    report = await service.open_asked(session, form.first_day, form.last_day)
    job = await tasks.render_report.enqueue(session, report_id=report.id)
    return ReportAsked(report_id=report.id, job_id=job.id)


@routes.get(
    "/reports/{id}/html", responses={**problems(404, 409), 200: {"content": {"text/html": {}}}}, response_class=Response
)
async def report_html(id: PathId, session: Transaction) -> Response:
    """The report as a page."""
    report = await service.rendered(session, id)
    return Response(report.html, media_type="text/html", headers=POLICY)


@routes.get(
    "/reports/{id}/csv", responses={**problems(404, 409), 200: {"content": {"text/csv": {}}}}, response_class=Response
)
async def report_csv(id: PathId, session: Transaction) -> Response:
    """The report's figures."""
    report = await service.rendered(session, id)
    name = f"jobs-{report.first_day}-{report.last_day}.csv"
    return Response(
        report.csv, media_type="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
