"""What happens by itself is told in one e-mail: notifications wait until it has been quiet for a while."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.database import rowcount
from jobs.emails import letters, preferences, service
from jobs.emails.models import EmailFailure, EmailNotification
from jobs.emails.service import Delivery
from jobs.users.models import User

KEPT = timedelta(days=90)
OPEN = EmailNotification.closed_at.is_(None)


async def add(session: AsyncSession, user_id: int, text: str) -> None:
    """Note something that the user is to be told.

    Raises:
        UnknownUser: nobody has this id.
    """
    # the lock of a foreign key: the user stays until the note is there
    if await session.get(User, user_id, with_for_update={"key_share": True}) is None:
        raise service.UnknownUser(f"there is no user {user_id}")
    session.add(EmailNotification(user_id=user_id, text=text))
    await session.flush()


async def collect(session: AsyncSession, user_id: int) -> Sequence[str]:
    """Make one digest of what waits. It commits before that is sent, so that another attempt sends the very same.

    Returns:
        The causes of all digests of the user that are still to be sent; none if the user is not to be mailed.
    """
    waiting = (EmailNotification.user_id == user_id, OPEN)
    user = await session.get(User, user_id)
    if user is None or user.deactivated_at or await preferences.suppression(session, user.email):
        await session.execute(update(EmailNotification).where(*waiting).values(closed_at=func.now()))
        return []
    new = (*waiting, EmailNotification.digest.is_(None))
    first = await session.scalar(select(func.min(EmailNotification.id)).where(*new))
    if first is not None:
        await session.execute(update(EmailNotification).where(*new).values(digest=f"digest.{user_id}.{first}"))
    causes = select(EmailNotification.digest).where(*waiting).group_by(EmailNotification.digest)
    return [cause for cause in await session.scalars(causes.order_by(func.min(EmailNotification.id))) if cause]


async def send(session: AsyncSession, user_id: int, cause: str, *, job_id: int | None) -> Delivery:
    """Send one digest and close it; the caller commits right after. Errors as `service.deliver`."""
    ours = (EmailNotification.user_id == user_id, EmailNotification.digest == cause)
    found = select(EmailNotification.text).where(*ours).order_by(EmailNotification.id)
    texts = (await session.scalars(found)).all()
    about = {"count": len(texts), "notifications": texts}
    delivery = await service.deliver(session, letters.DIGEST, user_id, cause=cause, job_id=job_id, about=about)
    await session.execute(update(EmailNotification).where(*ours).values(closed_at=func.now()))
    return delivery


async def forget(session: AsyncSession) -> int:
    """Delete what was told, and what was not sent, more than `KEPT` ago; returns how many rows. The ledger stays."""
    long_ago = func.now() - KEPT
    told = await session.execute(delete(EmailNotification).where(EmailNotification.closed_at < long_ago))
    unsent = await session.execute(delete(EmailFailure).where(EmailFailure.failed_at < long_ago))
    return rowcount(told) + rowcount(unsent)
