"""What happens to users. Every function works in the caller's transaction and leaves the commit to the caller."""

import unicodedata
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from email_validator import validate_email
from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs.emails import tasks as emails
from jobs.emails.service import Delivery
from jobs.users.links import BadLink, Purpose, user_of
from jobs.users.models import User
from workrow import clock


class EmailTaken(Exception):
    """Somebody registered with this address before."""


@dataclass(frozen=True)
class Registration:
    """A new user and the two e-mails that are on their way if the transaction commits."""

    user: User
    welcome: workrow.Job[Delivery]
    verification: workrow.Job[Delivery]


@dataclass(frozen=True)
class DeactivationReport:
    """What `deactivate_inactive` did.

    Attributes:
        deactivated: how many users it deactivated.
        cutoff: they were last seen before this moment.
    """

    deactivated: int
    cutoff: datetime


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
    user.verified_at = user.verified_at or clock.now()
    user.last_seen_at = clock.now()
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


async def deactivate_inactive(session: AsyncSession, inactive_for: timedelta) -> DeactivationReport:
    """Deactivate every active user who was not seen for so long, in one statement, by the database's clock."""
    cutoff = (await session.execute(select(func.now() - inactive_for))).scalar_one()
    result = await session.execute(
        update(User)
        .where(User.deactivated_at.is_(None), User.last_seen_at < cutoff)
        .values(deactivated_at=func.now())
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return DeactivationReport(result.rowcount, cutoff)
