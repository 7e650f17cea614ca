"""Jobs of the emails domain. Each is safe to run twice: `service.deliver` sends once for each cause."""

from email_validator import EmailNotValidError

import workrow
from jobs import database
from jobs.emails import letters, service
from jobs.emails.smtp import RefusedAddress
from jobs.policies import PATIENT

emails = workrow.Blueprint(
    "emails",
    queue="emails",
    retry=PATIENT,
    discard_on=(RefusedAddress, EmailNotValidError, service.UnknownUser),
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


async def _deliver(ctx: workrow.JobContext, letter: letters.Letter, user_id: int, *, cause: str) -> service.Delivery:
    async with database.session() as session, session.begin():
        return await service.deliver(session, letter, user_id, cause=cause, job_id=ctx.job.id)
