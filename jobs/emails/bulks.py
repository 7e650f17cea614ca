"""One message to all active users: a job each, and its counts at the end."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.emails import letters, service
from jobs.emails.models import EmailBulk, EmailSuppression
from jobs.emails.preferences import Suppressed
from jobs.emails.smtp import RefusedAddress
from jobs.users.models import User

MOST = 50_000


class NoSuchBulk(Exception):
    """There is no bulk message with this id."""


class TooManyRecipients(Exception):
    """More active users than one workflow takes."""


async def find(session: AsyncSession, bulk_id: int) -> EmailBulk:
    """The message.

    Raises:
        NoSuchBulk: there is none.
    """
    bulk = await session.get(EmailBulk, bulk_id)
    if bulk is None:
        raise NoSuchBulk(f"there is no bulk message {bulk_id}")
    return bulk


async def recipients(session: AsyncSession) -> Sequence[int]:
    """The ids of those who get it: active, and not kept from being mailed.

    Raises:
        TooManyRecipients: more than 50,000.
    """
    kept_out = select(EmailSuppression.address).where(EmailSuppression.address == User.email).exists()
    found = select(User.id).where(User.deactivated_at.is_(None), ~kept_out).order_by(User.id).limit(MOST + 1)
    ids = (await session.scalars(found)).all()
    if len(ids) > MOST:
        raise TooManyRecipients(f"there are more than {MOST} recipients: a bulk message goes to so many at most")
    return ids


async def send(session: AsyncSession, bulk_id: int, user_id: int, *, job_id: int | None) -> None:
    """Send it to one user, once; the caller commits right after. Errors as `service.deliver`."""
    bulk = await find(session, bulk_id)
    about = {"subject": " ".join(bulk.subject.split()), "text": bulk.text}
    cause = f"bulk.{bulk_id}.{user_id}"
    await service.deliver(session, letters.BULK, user_id, cause=cause, job_id=job_id, about=about)


async def send_or_not(bulk_id: int, user_id: int, *, job_id: int | None) -> bool:
    """The same in a transaction of its own; False if this user gets none, which ends nothing else."""
    try:
        await service.attempt(lambda session: send(session, bulk_id, user_id, job_id=job_id))
    except (Suppressed, RefusedAddress, service.UnknownUser):
        return False
    return True


async def end(session: AsyncSession, bulk_id: int, sent: Sequence[bool | None]) -> int:
    """Write down how many got it; returns that."""
    bulk = await find(session, bulk_id)
    bulk.ended_at = func.now()
    bulk.sent = sum(map(bool, sent))
    bulk.unsent = len(sent) - bulk.sent
    return bulk.sent
