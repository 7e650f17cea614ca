"""Jobs of the emails domain. Each is safe to run twice: `service.deliver` sends once for each cause."""

from functools import partial
from typing import Any

from email_validator import EmailNotValidError
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.emails import bulks, digests, letters, service
from jobs.emails.preferences import Suppressed
from jobs.emails.smtp import RefusedAddress
from jobs.policies import PATIENT
from jobs.settings import declared_timezone

emails = workrow.Blueprint(
    "emails",
    queue="emails",
    retry=PATIENT,
    discard_on=(RefusedAddress, Suppressed, EmailNotValidError, service.UnknownUser),
)


@emails.task
async def send_welcome(ctx: workrow.JobContext, user_id: int) -> service.Delivery:
    """Greet a new user."""
    return await _deliver(ctx, letters.WELCOME, user_id, cause=f"welcome.{user_id}")


@emails.task
async def send_verification(ctx: workrow.JobContext, user_id: int) -> service.Delivery:
    """Ask a new user to follow a link, which proves that the address is theirs."""
    return await _deliver(ctx, letters.VERIFICATION, user_id, cause=f"verification.{user_id}")


@emails.task
async def send_password_reset(ctx: workrow.JobContext, user_id: int, request_id: str) -> service.Delivery:
    """Send the link that a user asked for."""
    return await _deliver(ctx, letters.PASSWORD_RESET, user_id, cause=f"password-reset.{request_id}")


@emails.task
async def send_digest(ctx: workrow.JobContext, user_id: int) -> int:
    """Tell a user what is new, in one e-mail; see `notifications.notify`. Returns how many it were."""
    async with database.session() as session, session.begin():
        causes = await digests.collect(session, user_id)
    for cause in causes:
        await service.attempt(partial(digests.send, user_id=user_id, cause=cause, job_id=ctx.job.id))
    return len(causes)


@emails.task(transactional=True, discard_on=(bulks.NoSuchBulk, bulks.TooManyRecipients))
async def start_bulk(session: AsyncSession, bulk_id: int) -> Any:
    """Lay out the jobs of a bulk message: they take the place of this one."""
    ids = await bulks.recipients(session)
    return workrow.group(send_bulk.si(bulk_id, user_id) for user_id in ids).if_failed("continue")


@emails.task(discard_on=(bulks.NoSuchBulk, EmailNotValidError))
async def send_bulk(ctx: workrow.JobContext, bulk_id: int, user_id: int) -> bool:
    """Send a bulk message to one user; False if this one gets none."""
    return await bulks.send_or_not(bulk_id, user_id, job_id=ctx.job.id)


@emails.task(transactional=True)
async def end_bulk(session: AsyncSession, sent: list[bool | None], bulk_id: int) -> int:
    """Write down how many got a bulk message."""
    return await bulks.end(session, bulk_id, sent)


@emails.task(cron="10 2 * * *", timezone=declared_timezone(), transactional=True)
async def clean_up(session: AsyncSession) -> int:
    """Every night: forget what was told, and what was not sent, three months ago."""
    return await digests.forget(session)


async def _deliver(ctx: workrow.JobContext, letter: letters.Letter, user_id: int, *, cause: str) -> service.Delivery:
    send = partial(service.deliver, letter=letter, user_id=user_id, cause=cause, job_id=ctx.job.id)
    return await service.attempt(send)
