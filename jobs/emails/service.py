"""Sending an e-mail once for each cause, and to nobody who is not to be mailed."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from jobs import database
from jobs.emails import letters, preferences, smtp
from jobs.emails.letters import Letter
from jobs.emails.models import EmailDelivery
from jobs.users.models import User

T = TypeVar("T")


class UnknownUser(Exception):
    """The user whom the e-mail was for does not exist."""


@dataclass(frozen=True)
class Delivery:
    """What became of an e-mail.

    Attributes:
        message_id: its Message-ID.
        recipient: the address.
        sent: False if an earlier attempt had sent it already.
    """

    message_id: str
    recipient: str
    sent: bool


async def attempt(send: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Call it in a transaction of its own. If the e-mail does not go out, that is rolled back, and this recorded."""
    try:
        async with database.session() as session, session.begin():
            return await send(session)
    except smtp.Unsent as unsent:
        async with database.session() as session, session.begin():
            await preferences.note(session, unsent)
        raise


async def deliver(
    session: AsyncSession,
    letter: Letter,
    user_id: int,
    *,
    cause: str,
    job_id: int | None,
    about: Mapping[str, Any] = MappingProxyType({}),
) -> Delivery:
    """Send the letter to the user, unless it was sent for this cause before. The caller commits right after.

    The ledger's row is inserted first and committed after the mail server has said yes. Until then its key is locked,
    so a second attempt for the same cause waits here, and finds the mail sent or takes over.

    One window remains, as it must between two systems: a worker that dies between the server's yes and the commit
    leaves no trace, and the next attempt sends a second copy. It has the same Message-ID, by which receivers can drop
    it.

    Args:
        session: in a transaction of its own, which stays open during the conversation with the mail server.
        letter: what to send.
        user_id: to whom.
        cause: what the letter is sent for; one e-mail for each.
        job_id: the job that sends it, for the ledger.
        about: values for this letter's templates.

    Raises:
        UnknownUser: nobody has this id.
        Suppressed: the address is not to be mailed.
        RefusedAddress: the mail server will never take it.
        Exception: any other is worth another attempt; see `smtp.send`.
    """
    user = await session.get(User, user_id)
    if user is None:
        raise UnknownUser(f"there is no user {user_id}")
    message = letters.compose(letter, user, cause=cause, about=about)
    sent = await send_once(session, message, cause=cause, kind=letter.kind, recipient=user.email, job_id=job_id)
    return Delivery(message["Message-ID"], user.email, sent)


async def send_once(
    session: AsyncSession, message: EmailMessage, *, cause: str, kind: str, recipient: str, job_id: int | None
) -> bool:
    """Send any e-mail unless one was sent for this cause before; `deliver` says how. The caller commits right after.

    Returns:
        Whether it was sent now.

    Raises:
        Suppressed: the address is not to be mailed.
        RefusedAddress: the mail server will never take it.
        Exception: any other is worth another attempt; see `smtp.send`.
    """
    letter = {"cause": cause, "kind": kind, "recipient": recipient, "job_id": job_id}
    row = letter | {"message_id": message["Message-ID"]}
    statement = insert(EmailDelivery).values(row).on_conflict_do_nothing().returning(EmailDelivery.cause)
    if await session.scalar(statement) is None:
        return False
    try:
        await preferences.check(session, recipient)
        await smtp.send(message)
    except smtp.Unsent as unsent:
        unsent.letter = letter
        raise
    return True
