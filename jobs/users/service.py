"""What happens to users. Functions work in the caller's transaction and leave the commit to the caller."""

import unicodedata
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from email_validator import validate_email
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.emails import preferences
from jobs.emails import tasks as emails
from jobs.emails.models import EmailDelivery, EmailFailure, EmailNotification, EmailSuppression
from jobs.emails.service import Delivery, UnknownUser
from jobs.users.links import BadLink, Purpose, user_of
from jobs.users.models import User
from jobs.webhooks.publishing import publish, publish_many
from workrow import clock

BATCH = 1000
"""So many users are deactivated in one transaction."""


class EmailTaken(Exception):
    """Somebody registered with this address before."""


@dataclass(frozen=True)
class Registration:
    """A new user and the two e-mails that are on their way if the transaction commits."""

    user: User
    welcome: workrow.Job[Delivery]
    verification: workrow.Job[Delivery]


@dataclass(frozen=True)
class UserMetrics:
    """The figures of one user. E-mails are those to the user's address."""

    created_at: datetime
    last_seen_at: datetime
    verified: bool
    active: bool
    emails_sent: int
    emails_failed: int
    last_email_at: datetime | None
    notifications_waiting: int


def normalised_email(address: str) -> str:
    """The address in lower case and composed Unicode, as it is stored and compared.

    Raises:
        ValueError: it is no e-mail address.
    """
    return validate_email(address, check_deliverability=False).normalized.lower()


def normalised_name(name: str) -> str:
    """The name in one line, single-spaced.

    Raises:
        ValueError: it is empty, longer than 200 characters, or has control characters in it.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= 200:
        raise ValueError(f"a name has 1 to 200 characters, this one has {len(name)}")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise ValueError(f"a name has no control characters: {name!a}")
    return name


async def register(session: AsyncSession, *, name: str, email: str) -> Registration:
    """Add a user and enqueue the two e-mails that welcome them: all of it commits, or nothing.

    Raises:
        EmailTaken: the address is registered. The transaction is still usable.
        ValueError: the name or the address is not acceptable.
    """
    # the unique key decides between two registrations at the same moment: the second one waits here for the first
    statement = (
        insert(User)
        .values(email=normalised_email(email), name=normalised_name(name))
        .on_conflict_do_nothing(index_elements=[User.email])
        .returning(User)
    )
    user = await session.scalar(statement)
    if user is None:
        raise EmailTaken(f"{email} is registered already")
    await publish(session, "user.registered", {"user_id": user.id, "email": user.email})
    return Registration(
        user,
        welcome=await emails.send_welcome.enqueue(session, user_id=user.id),
        verification=await emails.send_verification.enqueue(session, user_id=user.id),
    )


async def verify(session: AsyncSession, token: str) -> User:
    """Mark the address as the user's own, from the link in the verification e-mail. Twice is no error.

    Raises:
        BadLink: the link is wrong, too old, or of a user who is gone.
    """
    user = await _user_of(session, Purpose.VERIFY, token)
    user.last_seen_at = clock.now()
    first = update(User).where(User.id == user.id, User.verified_at.is_(None)).values(verified_at=user.last_seen_at)
    if await session.scalar(first.returning(User.id)) is not None:
        await publish(session, "user.verified", {"user_id": user.id, "email": user.email})
    await session.refresh(user)
    return user


async def request_password_reset(session: AsyncSession, email: str) -> workrow.Job[Delivery] | None:
    """Enqueue an e-mail with a link that proves who follows it to be the user.

    Returns:
        The job; None if nobody active has this address.
    """
    statement = select(User.id).where(User.email == normalised_email(email), User.deactivated_at.is_(None))
    user_id = await session.scalar(statement)
    if user_id is None:
        return None
    # each request is a cause of its own, so that asking again sends again
    return await emails.send_password_reset.enqueue(session, user_id=user_id, request_id=uuid.uuid4().hex)


async def check_password_reset(session: AsyncSession, token: str) -> User:
    """The user whom the link in a password reset e-mail is for.

    This application keeps no passwords, so a link works until it is too old. One that sets a password would sign
    something that the change alters (the old hash, say) along with the id: a used link would then be worthless.

    Raises:
        BadLink: the link is wrong, too old, or of a user who is gone.
    """
    return await _user_of(session, Purpose.PASSWORD_RESET, token)


async def _user_of(session: AsyncSession, purpose: Purpose, token: str) -> User:
    user = await session.get(User, user_of(purpose, token))
    if user is None:
        raise BadLink("this link is not valid: the account it was made for is gone")
    return user


async def inactive_since(session: AsyncSession, days: int) -> datetime:
    """The moment so many days ago, by the database's clock.

    Raises:
        ValueError: there are no so many days, or none.
    """
    if not 1 <= days <= 36_500:
        raise ValueError(f"days={days}: must be from 1 to 36500")
    return (await session.scalars(select(func.now() - timedelta(days=days)))).one()


async def deactivate_inactive(session: AsyncSession, cutoff: datetime) -> int:
    """Deactivate up to `BATCH` active users who were last seen before; returns how many.

    Whoever is locked is being written to just now, and is left for the next time.
    """
    ids = (
        select(User.id)
        .where(User.deactivated_at.is_(None), User.last_seen_at < cutoff)
        .order_by(User.last_seen_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    found = (await session.scalars(ids)).all()
    change = update(User).where(User.id.in_(found)).values(deactivated_at=func.now()).returning(User.id, User.email)
    changed = (await session.execute(change)).all()
    await publish_many(session, "user.deactivated", ({"user_id": id, "email": email} for id, email in changed))
    return len(changed)


async def deactivate_all_inactive(days: int, told: Callable[[int], None]) -> int:
    """Deactivate every active user who was not seen for so many days, in batches that commit: what is done stays done.

    Args:
        days: 1 to 36,500.
        told: is given the number so far after each batch.
    """
    async with database.session() as session:
        cutoff = await inactive_since(session, days)
        await session.rollback()
        total, last = 0, BATCH
        while last == BATCH:
            async with session.begin():
                last = await deactivate_inactive(session, cutoff)
            total += last
            told(total)
    return total


async def seen(session: AsyncSession, user_id: int) -> None:
    """Note that the user is here. A minute counts as one time, so that a busy client writes no row for each request.

    Raises:
        UnknownUser: nobody active has this id.
    """
    active = (User.id == user_id, User.deactivated_at.is_(None))
    await session.execute(
        update(User)
        .where(*active, User.last_seen_at < func.now() - timedelta(minutes=1))
        .values(last_seen_at=func.now())
        .execution_options(synchronize_session=False)
    )
    if await session.scalar(select(User.id).where(*active)) is None:
        raise UnknownUser(f"there is no active user {user_id}")


async def measure(session: AsyncSession, user_id: int) -> UserMetrics:
    """The figures of one user.

    Raises:
        UnknownUser: nobody has this id.
    """
    user = await _find(session, user_id)
    sent = select(func.count(), func.max(EmailDelivery.sent_at)).where(EmailDelivery.recipient == user.email)
    failed = select(func.count()).where(EmailFailure.recipient == user.email)
    waiting = select(func.count()).where(EmailNotification.user_id == user_id, EmailNotification.closed_at.is_(None))
    emails_sent, last_email_at = (await session.execute(sent)).one()
    return UserMetrics(
        created_at=user.created_at,
        last_seen_at=user.last_seen_at,
        verified=user.verified_at is not None,
        active=user.deactivated_at is None,
        emails_sent=emails_sent,
        emails_failed=(await session.scalars(failed)).one(),
        last_email_at=last_email_at,
        notifications_waiting=(await session.scalars(waiting)).one(),
    )


async def unsubscribe(session: AsyncSession, token: str) -> User:
    """Never mail the user again, from a link in an e-mail, which does not age. Twice is no error.

    Raises:
        BadLink: the link is wrong, or of a user who is gone.
    """
    user = await _user_of(session, Purpose.UNSUBSCRIBE, token)
    await preferences.suppress(session, user.email, reason="unsubscribed", words="by the link in an e-mail")
    return user


async def check_unsubscribe(session: AsyncSession, token: str) -> User:
    """Whose link it is. Errors as `unsubscribe`."""
    return await _user_of(session, Purpose.UNSUBSCRIBE, token)


async def suppression(session: AsyncSession, user_id: int) -> EmailSuppression | None:
    """Why the user is not mailed; None if they are.

    Raises:
        UnknownUser: nobody has this id.
    """
    return await preferences.suppression(session, (await _find(session, user_id)).email)


async def choose(session: AsyncSession, user_id: int, *, mailed: bool) -> None:
    """Mail the user, or do not. To mail an address that has bounced is to say that it works again.

    Raises:
        UnknownUser: nobody has this id.
    """
    user = await _find(session, user_id)
    if mailed:
        await preferences.lift(session, user.email)
    else:
        await preferences.suppress(session, user.email, reason="unsubscribed", words="by the user's preferences")


async def _find(session: AsyncSession, user_id: int) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise UnknownUser(f"there is no user {user_id}")
    return user
