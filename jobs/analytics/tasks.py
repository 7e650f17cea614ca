"""Jobs of the analytics domain. Times of day are those of the account's zone."""

from datetime import datetime, timedelta
from functools import partial

from email_validator import EmailNotValidError
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.analytics import metrics, service
from jobs.emails.preferences import Suppressed
from jobs.emails.service import attempt
from jobs.emails.smtp import RefusedAddress
from jobs.policies import PATIENT, RETRY
from jobs.settings import declared_timezone

analytics = workrow.Blueprint("analytics", queue="analytics", retry=RETRY)
MONDAY = workrow.Schedule(
    cron="0 9 * * mon", timezone=declared_timezone(), missed="once", max_late=timedelta(days=6, hours=12)
)


@analytics.task(every=timedelta(minutes=15), transactional=True)
async def sample_queues(session: AsyncSession, due_at: datetime) -> None:
    """Note the lengths of all queues."""
    await metrics.sample(session, due_at)


@analytics.task(cron="5 * * * *", timezone=declared_timezone(), transactional=True)
async def aggregate(session: AsyncSession) -> int:
    """Compute the rows of today and of the days before it that late jobs may still change."""
    today = await session.run_sync(metrics.today)
    return await session.run_sync(metrics.aggregate, today - metrics.LATE, today)


@analytics.task(schedule=MONDAY, transactional=True)
async def weekly_report(session: AsyncSession, due_at: datetime) -> int | None:
    """Have last week's report rendered and then mailed; None if that week has its report."""
    report = await service.open_weekly(session, due_at)
    if report is None:
        return None
    await workrow.chain(render_report.si(report.id), send_report.si(report.id)).enqueue(session)
    return report.id


@analytics.task(run_in="process", soft_time_limit=540, time_limit=600, discard_on=(service.NoSuchReport,))
def render_report(report_id: int) -> int:
    """Draw the report from fresh metrics, in a process of its own: it computes, and can be killed."""
    with database.blocking_session() as session:
        with session.begin():
            service.refresh(session, report_id)
        with session.begin():
            return service.render(session, report_id)


@analytics.task(retry=PATIENT, discard_on=(RefusedAddress, Suppressed, EmailNotValidError, service.NoSuchReport))
async def send_report(ctx: workrow.JobContext, report_id: int) -> bool:
    """Mail the report."""
    return await attempt(partial(service.mail, report_id=report_id, job_id=ctx.job.id))


@analytics.task(cron="0 2 * * *", timezone=declared_timezone(), transactional=True)
async def clean_up(session: AsyncSession) -> service.CleanUp:
    """Every night: delete what is old."""
    return await service.clean_up(session)
